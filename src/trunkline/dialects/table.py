"""Which dialects there are, by the name that configuration, catalogue and ledger use."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from trunkline.dialects.anthropic.dialect import Anthropic
from trunkline.dialects.bedrock.dialect import Bedrock
from trunkline.dialects.cohere.dialect import Cohere
from trunkline.dialects.dialect import Dialect, ProviderDialect
from trunkline.dialects.gemini.dialect import Gemini
from trunkline.dialects.ollama.dialect import Ollama
from trunkline.dialects.openai_chat.dialect import OpenAIChat
from trunkline.dialects.openai_completions.dialect import OpenAICompletions
from trunkline.dialects.openai_responses.dialect import OpenAIResponses

_ALL: tuple[Dialect, ...] = (OpenAIChat(), Anthropic(), Gemini(), Ollama(), OpenAIResponses(), OpenAICompletions())

#: Those that clients speak, and providers too: name -> dialect
DIALECTS: Mapping[str, Dialect] = MappingProxyType({dialect.name: dialect for dialect in _ALL})

_PROVIDERS_ONLY: tuple[ProviderDialect, ...] = (Bedrock(), Cohere())

#: All that providers speak: name -> dialect
SPOKEN: Mapping[str, ProviderDialect] = MappingProxyType({**DIALECTS, **{dialect.name: dialect for dialect in _PROVIDERS_ONLY}})
