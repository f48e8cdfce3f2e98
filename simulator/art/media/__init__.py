"""The media of pictures; one medium a file, each a function from a scene to a picture."""
