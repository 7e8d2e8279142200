"""The way to the service: messages, connections, and when to try again."""
