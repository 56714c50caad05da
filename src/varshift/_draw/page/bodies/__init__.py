"""What a page says about each kind of result. Importing this registers them all."""

from varshift._draw.page.bodies import explanation as _explanation
from varshift._draw.page.bodies import findings as _findings
from varshift._draw.page.bodies import footprint as _footprint
from varshift._draw.page.bodies import measurement as _measurement
from varshift._draw.page.bodies import prediction as _prediction
from varshift._draw.page.bodies import repairs as _repairs
from varshift._draw.page.bodies import structure as _structure
from varshift._draw.page.bodies.plain import body

_REGISTERED = (
    *(_explanation, _findings, _footprint, _measurement, _prediction, _repairs, _structure),
)

__all__ = ["body"]
