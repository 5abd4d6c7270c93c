"""What lmms-eval finds at the entry point `lmms_eval.models`: which class answers for `--model kangaroo`."""

from typing import Any


def manifest() -> Any:
    """Return the plug-in's manifest; lmms-eval calls this, so it is there."""
    from lmms_eval.models.registry_v2 import ModelManifest

    return ModelManifest(model_id="kangaroo", chat_class_path="kangaroo.evaluation.lmms_eval_model.LmmsEvalModel")
