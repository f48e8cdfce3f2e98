"""What an answer means: judged, its pictures found and checked, its words read."""
