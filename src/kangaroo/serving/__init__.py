"""Answer over the network: a web page."""
