"""vLLM's plug-in: `vllm serve DIR` then serves a Kangaroo's folder with its films. vLLM calls `register` by itself.

>>> vllm serve DIR  # after pip install 'kangaroo-video[vllm]'

The network runs on vLLM's Transformers backend; `vllm_model` holds what vLLM must be told of films.
"""

_SERVED = "KangarooForConditionalGeneration"
# as a folder's config names it: the second where a model was saved that came by the authors' own way
_ARCHITECTURES = (_SERVED, "KangarooForCausalLM")


def register() -> None:
    """Make vLLM and transformers know the model. Called in each of vLLM's processes, in some more than once."""
    from vllm import ModelRegistry

    import kangaroo.hf  # noqa: F401, transformers knows its classes from here on

    for name in set(_ARCHITECTURES) - set(ModelRegistry.get_supported_archs()):
        # by name, so that nothing touches a GPU before vLLM has chosen one
        ModelRegistry.register_model(name, f"kangaroo.serving.vllm_model:{_SERVED}")
