"""What the plugin has to know of the framework beyond the contract of its ``TTS``."""
