"""The rules: each takes the evidence and gives findings, in the order of their codes."""

from varshift._check.rules.control_flow import control_flow
from varshift._check.rules.noise import noise_before_norms
from varshift._check.rules.registration import norms_out_of_reach
from varshift._check.rules.regression import biased_regression
from varshift._check.rules.reuse import unlike_runs
from varshift._check.rules.statistics import statistics
from varshift._check.rules.unattributed import shift_without_a_source

__all__ = ["ALL"]

# By the beginning of the codes they give, so that what nobody asked for is not computed.
ALL = {
    "VS10": noise_before_norms,
    "VS107": control_flow,
    "VS108": shift_without_a_source,
    "VS20": statistics,
    "VS208": unlike_runs,
    "VS301": biased_regression,
    "VS401": norms_out_of_reach,
}
