"""The motifs of pictures; one motif a file, each a function from a canvas to a picture."""
