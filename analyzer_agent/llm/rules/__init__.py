"""The manager without a language model: keyword rules and extractive answers."""
