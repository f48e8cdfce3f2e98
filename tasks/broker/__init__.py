"""Connect to the broker, publish dispatch messages, and measure the depth of a queue.

The transports that receive messages, and the checks of what they contain, are in
`tasks.messages`.
"""
