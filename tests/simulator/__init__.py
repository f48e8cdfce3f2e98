"""Claims about the stand-in for the image API, written from its reference page."""
