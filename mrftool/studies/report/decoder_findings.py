"""What the decoder changes, in sentences that rules make from the numbers."""

from collections.abc import Iterator, Sequence

from mrftool.studies.paper.plan import ABLATION_SNR, LAMBDAS, SHARES
from mrftool.studies.paper.results import Cell, Study
from mrftool.studies.report.cells import compared, compared_logs, differs, shown
from mrftool.studies.report.findings import PAIRS, SCORE, TABLES, pair_of
from mrftool.studies.report.tables import sets_of, snrs_of, title_of

Test = tuple[str, str, str]  # key, name of the set, noise in words


def decoder_findings(study: Study) -> list[str]:
    """For each decoder and table: the error over all tests, and the single tests that differ.

    All tests of a table are of the same networks, so that they count as one comparison.
    """
    findings = []
    for with_decoder, without in PAIRS:
        parts = []
        for group, table in TABLES.items():
            text = _comparison(study, group, with_decoder, without)
            if text:
                parts.append(f"{table}: {text}")
        if parts:
            title = f"{title_of(with_decoder)} against {title_of(without)}"
            findings.append(f"{title}. {' '.join(parts)}")
    return findings


def ablation_findings(study: Study) -> list[str]:
    """What weight, number of samples and range of training do."""
    return [*_lambda(study), *_samples(study), *_range(study)]


def _comparison(study: Study, group: str, with_decoder: str, without: str) -> str:
    """How the error of one row compares with that of the other; "" if one is missing."""
    tests = [
        test
        for test in _tests(study, group)
        if pair_of(study, group, with_decoder, without, test[0])
    ]
    keys = [key for key, _, _ in tests]
    ours = study.log_mean(group, with_decoder, keys, SCORE)
    plain = study.log_mean(group, without, keys, SCORE)
    if ours is None or plain is None:
        return ""
    text = (
        f"over {len(tests)} tests of the same networks, the error is {compared_logs(ours, plain)}."
    )
    for word in ("lower", "higher"):
        places = []
        for key, name, noise in tests:
            pair = pair_of(study, group, with_decoder, without, key)
            if pair and _direction(*pair) == word:
                places.append((name, noise))
        if places:
            text += f" Single tests with a {word} error: {_listed(places)}."
    return text


def _tests(study: Study, group: str) -> list[Test]:
    """Every test of a table, without and with noise."""
    tests = []
    for name in sets_of(study):
        tests.append((name, name, "no noise"))
        tests += [(f"{name}_snr{snr:g}", name, f"SNR {snr:g}") for snr in snrs_of(study, group)]
    return tests


def _direction(one: Cell, other: Cell) -> str | None:
    """Lower or higher; None if chance could explain the difference."""
    if not differs(one, other):
        return None
    if one.mean < other.mean:
        return "lower"
    return "higher"


def _listed(places: Sequence[tuple[str, str]]) -> str:
    """Tests (set, noise) as a list, those of one set together."""
    by_set: dict[str, list[str]] = {}
    for name, noise in places:
        by_set.setdefault(name, []).append(noise)
    return "; ".join(f"{name} ({', '.join(noises)})" for name, noises in by_set.items())


def _lambda(study: Study) -> Iterator[str]:
    for name in sets_of(study):
        cells = {}
        for weight in LAMBDAS:
            cell = study.cell("ablation-lambda", f"blochnet-{weight:g}", name, SCORE)
            if cell is not None:
                cells[weight] = cell
        without = cells.pop(0, None)
        if without is None or not cells:
            continue
        best = min(cells, key=lambda weight: cells[weight].mean)
        verdict = compared(cells[best], without, "lambda 0, without the decoder")
        yield (
            f"Weight lambda, {name}: of the weights above 0, {best:g} has the lowest error,"
            f" {shown(cells[best])}: {verdict}."
        )


def row_of_share(method: str, share: float) -> tuple[str, str]:
    """Group and row of a share of the grid.

    All of the grid is part of the ablation of lambda, which is trained for as many steps; lambda 0
    is FC.
    """
    if share < 1:
        return "ablation-samples", f"{method}-{share:g}"
    weights = {"blochnet": 1, "fc": 0}
    return "ablation-lambda", f"blochnet-{weights[method]}"


def _samples(study: Study) -> Iterator[str]:
    for name in sets_of(study):
        parts = []
        for share in (*SHARES, 1.0):
            group, ours = row_of_share("blochnet", share)
            _, plain = row_of_share("fc", share)
            pair = pair_of(study, group, ours, plain, name)
            if pair is not None:
                parts.append(f"{compared(*pair)} at {100 * share:g} %")
        if parts:
            yield (
                f"Share of the grid, {name}: compared with FC, the error of BlochNet is"
                f" {'; '.join(parts)}."
            )


def _range(study: Study) -> Iterator[str]:
    for key, noise in (("above", "no noise"), (f"above_snr{ABLATION_SNR}", f"SNR {ABLATION_SNR}")):
        pair = pair_of(study, "ablation-range", "blochnet", "fc", key)
        if pair is not None:
            yield (
                f"Tissue above the range of training, {noise}: the error of BlochNet is"
                f" {compared(*pair, 'FC')} ({shown(pair[0])} and {shown(pair[1])})."
            )
