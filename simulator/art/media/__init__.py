"""What a picture is made with; one medium a file, each a function from a scene to a picture."""
