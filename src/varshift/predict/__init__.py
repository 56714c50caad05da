"""Theory applied to a model's own weights: the shift that other noise, places or widths would make.

Nothing here imports `varshift.measure`: where the two agree, that means something.
"""

from varshift.predict.expected import Expected
from varshift.predict.predicting import predict
from varshift.predict.results import Prediction

__all__ = ["Expected", "Prediction", "predict"]
