"""Answer over the network: an OpenAI-compatible server, a web page, vLLM's plug-in."""
