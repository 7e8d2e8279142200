"""The service's audio on its way to the listener, and how much of it was played."""
