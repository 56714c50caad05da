"""VS101 to VS106: noise that reaches a norm, by what shares a draw and by what lies between."""

from __future__ import annotations

from collections.abc import Iterator

from varshift._check.bands import worse
from varshift._check.evidence import Evidence
from varshift._check.passes import FEW
from varshift._check.sizes import Size
from varshift.results import Finding, Noise, Route

__all__ = ["noise_before_norms"]


def noise_before_norms(evidence: Evidence) -> Iterator[Finding]:
    """Every norm whose noise surely shifts it by more than is allowed."""
    for norm in evidence.structure.norms:
        if norm.path in evidence.steady:
            continue
        routes = [route for route in evidence.routes if route.norm == norm.path]
        if not routes:
            continue
        size = evidence.sizes.get(norm.path)
        if size is None:
            evidence.notes.append(
                f"{norm.path}: noise reaches it, but how far that shifts it is not known"
            )
            continue
        found = list(_of_norm(evidence, norm.path, routes, size))
        if _drowns(evidence, norm.path, size) and (evidence.real or not found):
            if size.severity > evidence.max_severity:
                evidence.notes.append(
                    f"{norm.path}: severity {size.severity:.2f}, but each batch gives fewer than "
                    f"{FEW} values per channel, too few to tell a shift from chance; pass larger "
                    "batches"
                )
            continue
        yield from found


def _drowns(evidence: Evidence, path: str, size: Size) -> bool:
    return size.basis != "checkpoint" and evidence.few(path)


def _of_norm(evidence: Evidence, path: str, routes: list[Route], size: Size) -> Iterator[Finding]:
    codes: dict[str, list[Route]] = {}
    stored = {norm.path for norm in evidence.structure.norms}
    for route in sorted(routes, key=lambda route: -size.alone.get(route.noise, 0.0)):
        noise = evidence.structure.noise(route.noise)
        codes.setdefault(code_of(noise, route, stored), []).append(route)
    ranked = sorted(codes, key=lambda code: (-_strength(codes[code], size), code))
    elsewhere = _elsewhere(evidence, path, routes, size)
    loud = _loud(evidence, routes) if elsewhere or _left_out(evidence, routes, size) else []
    if loud:
        code = code_of(evidence.structure.noise(loud[0].noise), loud[0], stored)
        rest = [route for route in routes if route not in loud]
        yield _finding(evidence, code, path, [*loud, *rest], size, None)
        return
    if size.alone and _strength(codes[ranked[0]], size) < (1 + size.severity) / 2:
        # Most of it is not what the direct sources do: what comes through norms answers for it.
        ranked.sort(key=lambda code: any(route.direct for route in codes[code]))
    for rank, code in enumerate(ranked):
        # The first answers for the whole shift of the norm, the others for their own part.
        alone = None if rank == 0 and not elsewhere else _strength(codes[code], size)
        if rank == 0 and elsewhere and not size.alone:
            alone = worse(size.shift / evidence.rest[path].shift)
        if evidence.surely(size.low if alone is None else alone):
            yield _finding(evidence, code, path, codes[code], size, alone)
    if elsewhere and evidence.surely(size.low):
        explained = _strength(routes, size)
        evidence.notes.append(
            f"{path}: severity {size.severity:.2f}, and the noise found explains {explained:.2f}: "
            "training and evaluation also differ there in something else"
        )


def _left_out(evidence: Evidence, routes: list[Route], size: Size) -> bool:
    """Whether a shift that theory does not explain is that of noise which was left out."""
    if _explained(evidence, routes, size):
        return False
    return any(r.noise in evidence.left_out and r.noise not in size.alone for r in routes)


def _explained(evidence: Evidence, routes: list[Route], size: Size) -> bool:
    """Whether theory says as much, or nothing is sure to be there."""
    explained = bool(size.alone) and _strength(routes, size) >= (1 + size.severity) / 2
    return explained or not evidence.surely(size.low)


def _elsewhere(evidence: Evidence, path: str, routes: list[Route], size: Size) -> bool:
    """Whether some of a shift that theory does not explain is left with the noise silenced.

    Where training lets nothing pass, nothing is left that has a figure: there theory alone tells.
    """
    if _explained(evidence, routes, size):
        return False
    return path in evidence.rest or (bool(size.alone) and path not in evidence.left)


def _loud(evidence: Evidence, routes: list[Route]) -> list[Route]:
    """Routes of draws that cannot be silenced: what is left without the others is theirs.

    None where Python or numpy draws too, which may as well be behind it.
    """
    if evidence.passes.wild:
        return []
    return [route for route in routes if route.noise in evidence.loud]


def _strength(routes: list[Route], size: Size) -> float:
    """1 + τN/signal of all of them: the severity of these sources without the others."""
    alone = [size.alone[route.noise] for route in routes if route.noise in size.alone]
    if alone:
        return 1 + sum(severity - 1 for severity in alone)
    return 1.0 if any(route.direct for route in routes) else 0.0


def code_of(noise: Noise, route: Route, stored: set[str]) -> str:
    """The code of one route; `stored` are the paths of norms with running statistics."""
    if not route.direct:
        through = [layer for layer in route.layers if layer.role == "norm"]
        passed = any(layer.path in stored or "batch" in layer.kind.lower() for layer in through)
        return "VS106" if passed else "VS105"
    if noise.sharing == "channel":
        return "VS103"
    if noise.sharing in ("sample", "block"):
        return "VS104"
    return "VS101" if route.placement == "a" else "VS102"


def _finding(
    evidence: Evidence,
    code: str,
    path: str,
    routes: list[Route],
    size: Size,
    alone: float | None,
) -> Finding:
    noises = [evidence.structure.noise(route.noise) for route in routes]
    severity = size.severity if alone is None else alone
    shift = size.shift if alone is None else 1 / alone
    return Finding(
        code=code,
        place=path,
        noises=tuple(noise.name for noise in noises),
        severity=severity,
        low=size.low if alone is None else None,
        high=size.high if alone is None else None,
        shift=shift,
        how=size.how,
        basis=size.basis,
        message=_message(noises, routes[0], severity, shift, size.how),
        line=evidence.line(noises, path),
    )


def _message(noises: list[Noise], route: Route, severity: float, shift: float, how: str) -> str:
    more = f" and {len(noises) - 1} more" if len(noises) > 1 else ""
    first = noises[0]
    rate = f" ({_rate(first)})" if _rate(first) else ""
    steps = [layer.kind for layer in route.layers]
    between = f"through {' → '.join(steps[-3:])}" if steps else "directly"
    said = "measured" if how == "measured" else "predicted"
    return (
        f"{first.operation} {first.name!r}{rate}{more} reaches the norm {route.norm!r} {between}: "
        f"{said} severity {severity:.2f} (variance at test ÷ in training {shift:.2f})"
    )


def _rate(noise: Noise) -> str:
    if noise.drop_p is not None:
        return f"drop_p {noise.drop_p:g}"
    return f"τ {noise.tau:.3g}" if noise.tau is not None else ""
