"""The mistakes a caller can mend, one class per cause; each message says what to do.

Anything else that is raised is a mistake of ours.
"""


class KangarooError(Exception):
    """A mistake that the caller can mend. The command line prints it as one line and exits with status 2."""


class OptionError(KangarooError, ValueError):
    """An option has an impossible value, or two options contradict each other."""


class VideoError(KangarooError):
    """A video, image or folder of frames is missing or cannot be read. The message names it and the reason."""


class PromptError(KangarooError, ValueError):
    """A conversation is malformed: empty question, wrong roles, clips and placeholders that do not match."""


class ContextError(PromptError):
    """A conversation does not fit the model's context with its films at their fewest frames, or the device's memory."""


class ModelError(KangarooError):
    """A model cannot be found or its folder cannot be loaded."""


class EndpointError(KangarooError):
    """A remote model cannot be reached or answers with an error."""
