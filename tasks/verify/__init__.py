"""Compares what rows say is in the bucket with what is there, and repairs what differs.

Nothing here is done by workers: `darkroom verify` asks for it. The rules are here, and whoever asks
only renders.
"""
