"""Which families there are beside chat, by the word that doors use for them, and who speaks them.

What only passes, untranslated, is told in `dialects.families`.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from trunkline.canon.embeddings import Embed, Embeddings
from trunkline.canon.pictures import Draw, Pictures
from trunkline.dialects.embeddings import bedrock, cohere, gemini, ollama, openai
from trunkline.dialects.images import gemini as google_images
from trunkline.dialects.images import openai as openai_images
from trunkline.dialects.task import Family

EMBEDDINGS: Family[Embed, Embeddings] = Family(
    "embeddings",
    clients={"openai_chat": openai, "gemini": gemini, "ollama": ollama},
    providers={"openai_chat": openai, "gemini": gemini, "ollama": ollama, "cohere": cohere, "bedrock": bedrock},
)
PICTURES: Family[Draw, Pictures] = Family(
    "pictures", clients={"openai_chat": openai_images}, providers={"gemini": google_images}
)
TASKS: Mapping[str, Family[Any, Any]] = MappingProxyType({"embed": EMBEDDINGS, "image": PICTURES})
