"""What there is to find: one entry per code, never renumbered. docs/rules has a page for each."""

from __future__ import annotations

from dataclasses import dataclass

from varshift.errors import UsageError, listed

__all__ = ["DOCUMENTATION", "RULES", "Rule", "rule"]

DOCUMENTATION = "https://varshift.github.io/varshift"
"""Where the documentation stands, as pyproject.toml names it."""

_PAPER = "https://arxiv.org/abs/1801.05134"


@dataclass(frozen=True)
class Rule:
    """A code and what it stands for.

    Attributes:
        code: stable, "VS" and three digits.
        name: the same in words.
        summary: one sentence on what is wrong.
        why: the formula, and where it is derived.
        fix: what to do.
        source: URL of the paper that the rule rests on; "" where it has none of its own.
    """

    code: str
    name: str
    summary: str
    why: str
    fix: str
    source: str = _PAPER

    @property
    def page(self) -> str:
        """The address of its page in the documentation.

        >>> rule("VS101").page
        'https://varshift.github.io/varshift/rules/VS101.html'
        """
        return f"{DOCUMENTATION}/rules/{self.code}.html"


_BEFORE_LAST = "move the noise behind the last norm (varshift.relocate), or draw less of it"

RULES: dict[str, Rule] = {
    held.code: held
    for held in (
        Rule(
            "VS101",
            "noise-before-norm",
            "Noise per element stands before a norm, and no layer with weights lies between.",
            "Δ = v / (v + τ(c² + v)), placement (a) [li2019disharmony, eq. 8]",
            f"{_BEFORE_LAST} (varshift.replace with max_severity)",
        ),
        Rule(
            "VS102",
            "noise-through-weights",
            "Noise per element reaches a norm through a linear or convolution layer.",
            "var_train = var_test + τN, N = Σ wᵢ² E[xᵢ²], placement (b) [li2019disharmony]",
            f"{_BEFORE_LAST}, or widen the layer",
        ),
        Rule(
            "VS103",
            "channel-noise-before-norm",
            "Noise that a whole channel shares (Dropout2d) reaches a norm.",
            "var_train = var_test + τN, N = Σ_c E[(w_c ∗ x_c)²]: all that a kernel sums within "
            "one channel shares one draw",
            f"{_BEFORE_LAST}; noise per element of the same rate shifts less through smooth "
            "kernels",
        ),
        Rule(
            "VS104",
            "residual-noise-before-norm",
            "Stochastic depth or DropBlock in the residual stream reaches a norm.",
            "var_train = var_test + τN, N = E[(Wx)²] for one draw per sample: no width averages "
            "it out",
            "lower the rate; recalibrate after training (varshift.recalibrate), or end the branch "
            "with a norm whose γ starts at 0",
        ),
        Rule(
            "VS105",
            "noise-through-sample-norm",
            "Noise reaches a norm through LayerNorm or GroupNorm, which do not remove it.",
            "a norm per sample rescales noise and signal alike: Δ stays that of (a) or (b)",
            f"{_BEFORE_LAST}, or use LayerNorm throughout",
        ),
        Rule(
            "VS106",
            "noise-carried-on",
            "Noise reaches a norm through earlier BatchNorms, and still shifts it.",
            "each norm divides by a variance that includes the noise; at test the variance of its "
            "output is smaller by its own Δ [li2019disharmony, fig. 4]",
            "move or lower the noise before the first of these norms; recalibrate once trained",
        ),
        Rule(
            "VS107",
            "control-flow-noise",
            "Python draws what runs (layer drop), and a norm behind it shifts.",
            "var_train is that of a mixture of networks, var_test of one: no closed form",
            "lower the rate; recalibrate after training with the draw switched off",
        ),
        Rule(
            "VS108",
            "shift-without-a-source",
            "Training and evaluation differ at a norm, and no noise that was found explains it.",
            "var_test ÷ var_train ≠ 1 with every noise silenced and the same statistics in both",
            "look for draws in numpy or Python, masks drawn ahead of the pass and kept in an "
            "attribute, and code under self.training; recalibrate after training",
            "",
        ),
        Rule(
            "VS201",
            "statistics-never-updated",
            "Nothing updates the running statistics: momentum 0, or weights without their buffers.",
            "running_var ← (1 − 0)·running_var + 0·s²: evaluation divides by the initial 1",
            "give the norm a momentum (0.1), average or save buffers with the weights, or "
            "recalibrate before evaluation",
        ),
        Rule(
            "VS202",
            "statistics-too-slow",
            "The momentum is too small for the steps taken: running_var still contains the initial "
            "1.",
            "running_var = w·1 + (1 − w)·V with w = (1 − momentum)^steps, so V = (S − w)/(1 − w)",
            "recalibrate (varshift.recalibrate), train longer, or raise the momentum",
        ),
        Rule(
            "VS203",
            "statistics-averaged-from-the-start",
            "Momentum is None: the statistics of the first steps weigh as much as those of the "
            "last.",
            "running_var = mean of s² over all steps, while the weights moved",
            "use momentum 0.1 while weights move, None only to recalibrate",
        ),
        Rule(
            "VS204",
            "frozen-norm-in-training",
            "A norm is in eval mode while the model trains, and its statistics do not fit its "
            "input.",
            "both modes divide by a running_var that no step updates",
            "recalibrate before freezing, or let the norm train",
        ),
        Rule(
            "VS205",
            "norm-untouched-by-training",
            "Evaluation runs a norm that training never reaches.",
            "its running_var is never updated, so evaluation divides by the initial 1",
            "run the branch in training too, or recalibrate it",
        ),
        Rule(
            "VS206",
            "statistics-do-not-fit",
            "The stored statistics fit neither training nor evaluation on the data given.",
            "severity max(r, 1/r) with r = variance within batches ÷ running_var, or "
            "1 + |mean − running_mean| in stored deviations where that is surely more; a median "
            "over channels",
            "recalibrate (varshift.recalibrate); varshift.explain tells old statistics from other "
            "data",
        ),
        Rule(
            "VS207",
            "statistics-of-the-last-batches",
            "The stored statistics are those of the last batches: momentum near 1, or data in "
            "turns.",
            "a running average remembers about 1/momentum batches, and keeps m/(2 − m) of the "
            "scatter between them",
            "recalibrate (varshift.recalibrate); use momentum 0.1 (another framework's 0.9), and "
            "mix what comes in turns within each batch",
        ),
        Rule(
            "VS208",
            "norm-reused-on-unlike-inputs",
            "A norm runs several times a pass, and its one average fits none of the inputs.",
            "training: (x − mean of this run)/its deviation; evaluation: one mean and one variance "
            "for all runs. Severity max(r, 1/r) with r = variance of the worst run ÷ the average, "
            "or 1 + the distance of their means in deviations",
            "give each run a norm of its own, and share only the weights around it",
            "",
        ),
        Rule(
            "VS301",
            "noise-biases-regression",
            "Noise before a nonlinearity and weights moves the mean of an output at test.",
            "E[f(noisy)] ≠ f(E[noisy]); the bias b adds b² to the squared error, severity "
            "1 + (b/σ)² [Özgür & Nar 2020]",
            "put the dropout right before the last linear layer, or take it out",
            "",
        ),
        Rule(
            "VS401",
            "norm-out-of-reach",
            "No module holds a norm, so eval() does not reach it and state_dict() does not save "
            "it.",
            "(x − batch mean)/batch deviation in evaluation too: one sample's output depends on "
            "the others",
            "hold it in nn.ModuleList or nn.ModuleDict, or as an attribute of the module",
            "",
        ),
    )
}


def rule(code: str) -> Rule:
    """The rule of a code.

    >>> rule("VS102").name
    'noise-through-weights'
    """
    if code not in RULES:
        raise UsageError(f"there is no rule {code!r}; there are {listed(RULES)}")
    return RULES[code]
