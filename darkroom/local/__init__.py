"""Plan a Darkroom system on one machine from the settings.

Services that the settings name are used; `darkroom/stack/` starts the others. `darkroom up` and
`darkroom demo` share this package. Starting and supervising processes is not done here.
"""
