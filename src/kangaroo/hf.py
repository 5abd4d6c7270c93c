"""Make transformers know this system: import this module, then use its Auto classes.

Explicit, because it costs seconds. Importing it again changes nothing.

>>> import kangaroo.hf
>>> AutoProcessor.from_pretrained(folder), AutoModelForImageTextToText.from_pretrained(folder)
"""

from transformers import (
    AutoConfig,
    AutoModel,
    AutoModelForCausalLM,
    AutoModelForImageTextToText,
    AutoModelForMultimodalLM,
    AutoProcessor,
)
from transformers.models.auto.video_processing_auto import VIDEO_PROCESSOR_MAPPING, VIDEO_PROCESSOR_MAPPING_NAMES

from kangaroo.chat.original import KangarooForCausalLM
from kangaroo.dialogue.processor import KangarooProcessor
from kangaroo.dialogue.video_processor import KangarooVideoProcessor
from kangaroo.model.configuration import KangarooConfig, KangarooVisionConfig
from kangaroo.model.modeling import KangarooForConditionalGeneration, KangarooModel
from kangaroo.model.vision import KangarooVisionTower

__all__ = [
    "KangarooConfig",
    "KangarooForCausalLM",
    "KangarooForConditionalGeneration",
    "KangarooModel",
    "KangarooProcessor",
    "KangarooVideoProcessor",
    "KangarooVisionConfig",
    "KangarooVisionTower",
]

AutoConfig.register(KangarooConfig.model_type, KangarooConfig, exist_ok=True)
AutoConfig.register(KangarooVisionConfig.model_type, KangarooVisionConfig, exist_ok=True)
AutoModel.register(KangarooConfig, KangarooModel, exist_ok=True)
AutoModel.register(KangarooVisionConfig, KangarooVisionTower, exist_ok=True)
# the authors' notebook asks for it, and calls `model.chat`
AutoModelForCausalLM.register(KangarooConfig, KangarooForCausalLM, exist_ok=True)
AutoModelForImageTextToText.register(KangarooConfig, KangarooForConditionalGeneration, exist_ok=True)
AutoModelForMultimodalLM.register(KangarooConfig, KangarooForConditionalGeneration, exist_ok=True)
AutoProcessor.register(KangarooConfig, KangarooProcessor, exist_ok=True)

# AutoVideoProcessor itself refuses to exist without torchvision, which ours does not need, so its table is filled
# directly. Since 5.19 the table names one class per backend, and "torchvision" is what a tensor backend is called.
_BY_BACKEND = any(isinstance(entry, dict) for entry in VIDEO_PROCESSOR_MAPPING_NAMES.values())
VIDEO_PROCESSOR_MAPPING.register(
    KangarooConfig, {"torchvision": KangarooVideoProcessor} if _BY_BACKEND else KangarooVideoProcessor, exist_ok=True
)
