"""What a person may write of one price, in the file or in the store. Shapes only; what it becomes is in `prices`."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import Field, model_validator

from trunkline.config.fields import Count, Dollars, Glob, Moment, Portion, Section, Slug, blank_too, or_empty


class Rates(Section):
    """Dollars per million tokens. A part that is not written costs what its whole does."""

    input: Dollars | None = Field(default=None, description="Per million tokens of the prompt.")
    output: Dollars | None = Field(default=None, description="Per million tokens of the answer.")
    cache_read: Dollars | None = Field(default=None, description="Of the prompt, read from a cache; as input by default.")
    cache_write_5m: Dollars | None = Field(default=None, description="Of the prompt, written to a cache; as input by default.")
    cache_write_1h: Dollars | None = Field(default=None, description="For an hour; as cache_write_5m by default.")
    audio_input: Dollars | None = Field(default=None, description="Of the prompt, sound; as input by default.")
    audio_output: Dollars | None = Field(default=None, description="Of the answer, sound; as output by default.")
    reasoning: Dollars | None = Field(default=None, description="Of the answer, thinking; as output by default.")
    image_input: Dollars | None = Field(default=None, description="Of the prompt, pictures; as input by default.")
    image_output: Dollars | None = Field(default=None, description="Of the answer, pictures; as output by default.")
    request: Dollars | None = Field(default=None, description="Dollars for each request, whatever its tokens.")
    image: Dollars | None = Field(default=None, description="Dollars for each picture made.")

    @model_validator(mode="after")
    def _something(self) -> Self:
        if not self.model_fields_set & Rates.model_fields.keys():
            raise ValueError("must name at least one price, such as input")
        return self


class TierSpec(Rates):
    """What prompts of more than some tokens cost; what is not written is as for shorter ones."""

    above: Count = Field(description="Tokens of the prompt.")


class PriceSpec(Rates):
    """The price of a model, or of several by a glob. It replaces the bundled one whole."""

    provider: Slug | None = Field(default=None, description="A provider by its name, or all of a kind; any by default.")
    model: Glob = Field(description="The model's name at the provider; * and ? stand for any.")
    tiers: Annotated[list[TierSpec], or_empty(list)] = Field(
        default=[], description="Other prices for long prompts.", json_schema_extra=blank_too
    )
    since: Moment | None = Field(default=None, alias="from", description="Holds for requests begun from then on.")
    batch: Portion | None = Field(default=None, description="What a batch costs of it: 50%.")
    flex: Portion | None = Field(default=None, description="What service tier flex costs of it.")
    priority: Portion | None = Field(default=None, description="What service tier priority costs of it: 175%.")

    @model_validator(mode="after")
    def _tiers_differ(self) -> Self:
        bounds = [tier.above for tier in self.tiers]
        if len(bounds) != len(set(bounds)):
            raise ValueError("two tiers begin at the same number of tokens")
        return self
