"""Which dialects there are, by the name that configuration, catalogue and ledger use."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from trunkline.dialects.anthropic.dialect import Anthropic
from trunkline.dialects.dialect import Dialect
from trunkline.dialects.gemini.dialect import Gemini
from trunkline.dialects.ollama.dialect import Ollama
from trunkline.dialects.openai_chat.dialect import OpenAIChat

_ALL: tuple[Dialect, ...] = (OpenAIChat(), Anthropic(), Gemini(), Ollama())

#: name -> dialect
DIALECTS: Mapping[str, Dialect] = MappingProxyType({dialect.name: dialect for dialect in _ALL})
