"""Commands that run until they are stopped: worker, gateway, simulator, up, demo.

They parse options and start a process. The objects it consists of are built in `darkroom/wiring/`
and `darkroom/stack/`.
"""
