"""The web page: `kangaroo ui`. Only `app`, `panel`, `conversation` and `component` know the web."""
