"""A stored campaign as the YAML that says it: the inverse of `parse_campaign`. Pure."""

from typing import Any

import yaml

from adloom.campaign import CampaignSpec
from adloom.campaign_document import CampaignDocument
from adloom.gates import DEFAULT_GATES, Gate


def campaign_yaml(spec: CampaignSpec) -> str:
    """The shortest document that says the same; what is as by default is left out.

    Comments of the file that it once came from are not stored and cannot come back.
    """
    values = {**_values(spec), "campaign": spec.slug, "scenes": list(spec.scenes)}
    defaults = CampaignDocument(campaign=spec.slug, scenes=["any"], formats=["1:1"]).model_dump()
    kept = {name: values[name] for name in defaults if name in values}
    return yaml.safe_dump(
        _without_defaults(kept, {**defaults, "campaign": None, "scenes": None, "formats": None}),
        sort_keys=False,
        default_flow_style=None,
        allow_unicode=True,
        width=100,
    )


def _values(spec: CampaignSpec) -> dict[str, Any]:
    chosen, finishing = spec.selection, spec.finishing
    values: dict[str, Any] = {
        "title": "" if spec.title == spec.slug else spec.title,
        "selection": {
            "sources": list(chosen.sources),
            "categories": list(chosen.categories),
            "brands": list(chosen.brands),
            "external_ids": list(chosen.external_ids),
            "in_stock_only": chosen.in_stock_only,
            "photo_roles": list(chosen.photo_roles),
            "photo": chosen.photo,
            "limit": chosen.limit,
        },
        "formats": list(spec.formats),
        "variants": spec.variants,
        "draws": spec.draws,
        "seed": spec.seed,
        "refresh": spec.refresh.value,
        "model": spec.model,
        "steps": spec.steps,
        "guidance": spec.guidance,
        "reference_scale": spec.reference_scale,
        "finishing": {
            "detail_lock": finishing.detail_lock,
            "encoding": finishing.encoding.value,
            "quality": finishing.quality,
            "upscaler": finishing.upscaling.upscaler.value,
            "strength": finishing.upscaling.strength,
        },
        "budget": {"max_renders": spec.budget.max_renders},
        "min_mask_confidence": spec.min_mask_confidence,
    }
    if spec.gates != DEFAULT_GATES:
        values["gates"] = [_gate(gate) for gate in spec.gates]
    return values


def _gate(gate: Gate) -> dict[str, Any]:
    said = {"score": gate.score, "min": gate.min, "max": gate.max, "margin": gate.margin or None}
    return {name: value for name, value in said.items() if value is not None}


def _without_defaults(values: dict[str, Any], defaults: dict[str, Any]) -> dict[str, Any]:
    kept: dict[str, Any] = {}
    for name, value in values.items():
        default = defaults.get(name)
        if isinstance(value, dict) and isinstance(default, dict):
            value = _without_defaults(value, default)
            if value:
                kept[name] = value
        elif value != default:
            kept[name] = value
    return kept
