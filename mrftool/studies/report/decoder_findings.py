"""What the decoder brings and what it does not, in sentences made from the numbers by rule."""

from collections.abc import Iterator, Sequence

from mrftool.studies.paper.plan import ABLATION_SNR, LAMBDAS, SHARES
from mrftool.studies.paper.results import Study
from mrftool.studies.report.cells import compared, differs, shown
from mrftool.studies.report.findings import PAIRS, SCORE, TABLES, pair_of
from mrftool.studies.report.tables import sets_of, snrs_of, title_of


def decoder_findings(study: Study) -> list[str]:
    """For each decoder: where it helps, where it does not, over all tests of both tables."""
    found = []
    for with_decoder, without in PAIRS:
        verdicts = list(_verdicts(study, with_decoder, without))
        if verdicts:
            counts = [
                sum(verdict == kind for _, verdict in verdicts)
                for kind in ("helps", "hurts", "open")
            ]
            text = f"{title_of(with_decoder)} against {title_of(without)}, {len(verdicts)} tests: the decoder lowers the"
            text += f" error in {counts[0]}, raises it in {counts[1]}, and makes no difference beyond the spread over"
            text += f" seeds in {counts[2]}."
            for kind, words in (
                ("hurts", "It raises the error"),
                ("open", "It makes no difference"),
            ):
                places = _places([text for text, verdict in verdicts if verdict == kind])
                text += f" {words} for {places}." if places else ""
            found.append(text)
    return found


def ablation_findings(study: Study) -> list[str]:
    """What weight, number of samples and range of training do."""
    return [*_lambda(study), *_samples(study), *_range(study)]


def _places(tests: Sequence[tuple[str, str]]) -> str:
    """Tests (set, noise) as a list, those of one set together."""
    by_set = {name: [noise for other, noise in tests if other == name] for name, _ in tests}
    return "; ".join(f"{name} ({', '.join(noises)})" for name, noises in by_set.items())


def _verdicts(
    study: Study, with_decoder: str, without: str
) -> Iterator[tuple[tuple[str, str], str]]:
    """Each test (set, noise), and "helps", "hurts" or "open"."""
    for group, table in TABLES.items():
        for name in sets_of(study):
            for snr in (None, *snrs_of(study, group)):
                key, text = (
                    (name, "no noise") if snr is None else (f"{name}_snr{snr:g}", f"SNR {snr:g}")
                )
                pair = pair_of(study, group, with_decoder, without, key)
                if pair is not None:
                    clear = differs(*pair)
                    verdict = (
                        "open" if not clear else "helps" if pair[0].mean < pair[1].mean else "hurts"
                    )
                    yield (f"{table}, {name}", text), verdict


def _lambda(study: Study) -> Iterator[str]:
    rows = {weight: f"blochnet-{weight:g}" for weight in LAMBDAS}
    for name in sets_of(study):
        cells = {
            w: cell
            for w, row in rows.items()
            if (cell := study.cell("ablation-lambda", row, name, SCORE))
        }
        if 0 not in cells or len(cells) < 2:
            continue
        best = min((w for w in cells if w), key=lambda weight: cells[weight].mean)
        text = f"Weight lambda, {name}: of the weights above 0, {best:g} has the lowest error, {shown(cells[best])}"
        yield f"{text}: {compared(cells[best], cells[0], 'lambda 0, which leaves the decoder out')}."


def row_of_share(method: str, share: float) -> tuple[str, str]:
    """Group and row of a share of the grid. All of it is there in the ablation of lambda, as long
    trained as the
    others: lambda 0 leaves the decoder out, which is FC.
    """
    if share < 1:
        return "ablation-samples", f"{method}-{share:g}"
    return "ablation-lambda", "blochnet-1" if method == "blochnet" else "blochnet-0"


def _samples(study: Study) -> Iterator[str]:
    for name in sets_of(study):
        parts = []
        for share in (*SHARES, 1.0):
            (group, ours), (_, plain) = (
                row_of_share(method, share) for method in ("blochnet", "fc")
            )
            pair = pair_of(study, group, ours, plain, name)
            if pair is not None:
                parts.append(f"{compared(*pair)} at {100 * share:g} %")
        if parts:
            yield f"Share of the grid, {name}: the error of BlochNet is, beside that of FC, {'; '.join(parts)}."


def _range(study: Study) -> Iterator[str]:
    for key, text in (("above", "no noise"), (f"above_snr{ABLATION_SNR}", f"SNR {ABLATION_SNR}")):
        pair = pair_of(study, "ablation-range", "blochnet", "fc", key)
        if pair is not None:
            numbers = f"{shown(pair[0])} and {shown(pair[1])}"
            title = f"Tissue above the range of training, {text}"
            yield f"{title}: the error of BlochNet is {compared(*pair, 'FC')} ({numbers})."
