"""Answer over the network: an OpenAI-compatible server."""
