"""Answers become a report: `report.json` for programs and `report.md` for people. Imports without torch."""

import json
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import quantiles
from typing import Any

from kangaroo.evaluation.films import Drawing
from kangaroo.evaluation.machine import describe_machine
from kangaroo.evaluation.playground import Part, Playground
from kangaroo.evaluation.score import cluster_bootstrap, share
from kangaroo.playground.questions import Family
from kangaroo.playground.vocabulary import Language, Style

_LONG_FRAMES = 64
TITLES = {
    Part.LETTERED: "Four options, the film shown",
    Part.NO_FILM: "The same questions without the film",
    Part.OPEN: "Free answers, equal after normalisation",
    Part.YES_NO: "Yes or no",
    Part.DESCRIBE: "Descriptions: share of things and actions told",
}
_DRAWN = {Drawing.WHOLE: "decoded from mp4 files", Drawing.SEEN: "mp4 files of the frames that the model takes"}
_SPRITES = {Style.FLUENT: "sprites as trained on", Style.NOTO: "sprites in a style never trained on (Noto)"}
_CHANCE = {Part.LETTERED: "chance 25 %", Part.NO_FILM: "chance 25 %", Part.YES_NO: "chance 50 %"}

Answered = dict[str, Any]


@dataclass(frozen=True)
class Report:
    """Every figure of a run.

    Attributes:
        values: What `report.json` holds: `about`, `machine`, `films`, `parts`, `speed`.
    """

    values: dict[str, Any]

    def accuracy(self, part: Part) -> float:
        """Return a part's mean score, 0 to 1."""
        return float(self.values["parts"][part]["score"])

    def write(self, folder: Path) -> None:
        """Write both files."""
        text = json.dumps(self.values, ensure_ascii=False, indent=1)
        (folder / "report.json").write_text(text + "\n", encoding="utf-8")
        (folder / "report.md").write_text(self.markdown(), encoding="utf-8")

    def markdown(self) -> str:
        """Return the report as Markdown."""
        about, machine, films = self.values["about"], self.values["machine"], self.values["films"]
        lines = [
            f"# {about['model']} on the playground",
            "",
            f"Questions of seed {about['seed']} (`{about['questions'][:12]}`) about {films['number']} films of "
            f"{films['shortest_s']:g} to {films['longest_s']:g} s, {_DRAWN[about['drawing']]}, "
            f"{_SPRITES[about['style']]}; look-and-action pairs and wordings that training never saw. Greedy. What "
            "cannot be read counts as wrong. Intervals of groups are the wider of Wilson's and the one over films.",
            f"Frames: {json.dumps(about['sampler'])}.",
            machine_line(machine),
            "",
        ]
        for part, values in self.values["parts"].items():
            lines += _section(Part(part), values)
        return "\n".join([*lines, *_speed_lines(self.values["speed"])]) + "\n"


def machine_line(machine: dict[str, Any]) -> str:
    """Say in one line what `describe_machine` found."""
    return (
        f"Machine: {machine['cores']} cores ({machine['machine']}), {machine['cpu_matmul_gflops']:g} GFLOP/s in "
        f"float32 matmul, GPU: {machine['gpu'] or 'none'}; torch {machine['torch']}, transformers "
        f"{machine['transformers']}, kangaroo {machine['kangaroo']}."
    )


def make_report(
    about: dict[str, Any], playground: Playground, answers: Sequence[Answered], *, speed: dict[str, Any]
) -> Report:
    """Score the answers, each a line of `answers.jsonl`, in the order of the questions; `speed` is of their asking."""
    by_part: dict[Part, list[Answered]] = defaultdict(list)
    for answer in answers:
        by_part[Part(answer["part"])].append(answer)
    lengths = [film.duration_s for film in playground.films]
    return Report(
        {
            "about": about,
            "machine": describe_machine(),
            "films": {"number": len(lengths), "shortest_s": min(lengths), "longest_s": max(lengths)},
            "parts": {str(part): score_part(part, own) for part, own in by_part.items()},
            "speed": {**speed, **_speed(answers)},
        }
    )


def score_part(part: Part, answers: list[Answered]) -> dict[str, Any]:
    """Return every figure of one way of asking: over all, per family, language, frames and other groups."""
    values = {
        **_scored(answers),
        "interval_over_films": cluster_bootstrap([one["score"] for one in answers], [one["film"] for one in answers]),
        "unparsed": sum(one["parsed"] is None for one in answers),
        "cut_off": sum(one["finish_reason"] == "length" for one in answers),
        "families": _grouped(answers, lambda one: one["family"]),
        "languages": _grouped(answers, lambda one: one["language"]),
        "sprites": _grouped(answers, lambda one: "names a sprite" if one["names_sprite"] else "names no sprite"),
    }
    if pairs := _pairs(answers):
        values["english_less_chinese"] = _difference(pairs)
    if timed := [one for one in answers if one["family"] == Family.WHEN]:
        values["within_interval"] = _scored([{**one, "score": float(_in_time(one))} for one in timed])
    if part is not Part.NO_FILM:
        values["frames"] = _grouped(answers, lambda one: frames_group(one["num_frames"]))
    if part in (Part.LETTERED, Part.NO_FILM, Part.YES_NO):
        said = Counter(one["parsed"] or "none" for one in answers)
        values["answers"] = dict(sorted(said.items()))
    if part in (Part.LETTERED, Part.NO_FILM):
        values["keys"] = dict(sorted(Counter(one["expected"] for one in answers).items()))
    if part is Part.DESCRIBE:
        values["truth"] = sum(one["truth"] for one in answers) / len(answers)
    return values


def _scored(answers: Sequence[Answered]) -> dict[str, Any]:
    return share([one["score"] for one in answers], [one["film"] for one in answers])


def _pairs(answers: Sequence[Answered]) -> list[tuple[Answered, Answered]]:
    """Return the questions that were asked in both languages: the English answer and the Chinese one."""
    by_pair: dict[str, dict[str, Answered]] = defaultdict(dict)
    for answer in answers:
        by_pair[answer["pair"]][answer["language"]] = answer
    return [(own[Language.EN], own[Language.ZH]) for own in by_pair.values() if len(own) == len(Language)]


def _difference(pairs: Sequence[tuple[Answered, Answered]]) -> dict[str, Any]:
    differences = [english["score"] - chinese["score"] for english, chinese in pairs]
    return {
        "pairs": len(pairs),
        "difference": sum(differences) / len(pairs),
        "interval": cluster_bootstrap(differences, [english["film"] for english, _ in pairs]),
    }


def _in_time(answer: Answered) -> bool:
    """Whether a time told is right, or no further from the truth than two frames that the model saw of the film."""
    return answer["right"] or (answer["off_s"] is not None and answer["off_s"] <= answer["interval_s"] + 1e-6)


def _grouped(answers: Sequence[Answered], key: Callable[[Answered], str]) -> dict[str, Any]:
    groups: dict[str, list[Answered]] = defaultdict(list)
    for answer in answers:
        groups[key(answer)].append(answer)
    return {name: _scored(own) for name, own in sorted(groups.items())}


def frames_group(number: int) -> str:
    """Say which group a question counts in by how many frames were seen."""
    return f"{number:02d} frames" if number in (16, _LONG_FRAMES) else "17-63 frames" if number > 16 else "1-15 frames"


def _speed(answers: Sequence[Answered]) -> dict[str, Any]:
    """Return seconds to the first words about films just shown, and words a second once an answer has begun."""
    firsts = [one["first_s"] for one in answers if one["is_cold"] and one["num_frames"] == _LONG_FRAMES]
    long = [one for one in answers if (one["new_tokens"] or 0) > 1 and one["timings_s"].get("generate")]
    seconds = sum(one["timings_s"]["generate"] for one in long)
    tokens = sum(one["new_tokens"] - 1 for one in long)
    return {
        "first_answer_64_frames": {"number": len(firsts), **_spread(firsts)},
        "tokens_per_s": tokens / seconds if seconds else None,
    }


def _spread(seconds: Sequence[float]) -> dict[str, float]:
    if not seconds:
        return {}
    cuts = quantiles(seconds, n=20, method="inclusive") if len(seconds) > 1 else [seconds[0]] * 19
    return {"median_s": cuts[9], "p95_s": cuts[18]}


def _section(part: Part, values: dict[str, Any]) -> list[str]:
    low, high = values["interval_over_films"]
    head = f"**{percent(values['score'])}** of {values['number']:,} (95 % over films: {percent(low)} to {percent(high)}"
    lines = [
        f"## {TITLES[part]}",
        "",
        f"{head}{'; ' + _CHANCE[part] if part in _CHANCE else ''}). "
        f"Unreadable: {values['unparsed']}. Cut off: {values['cut_off']}.",
    ]
    if "english_less_chinese" in values:
        own = values["english_less_chinese"]
        low, high = (100 * bound for bound in own["interval"])
        lines.append(
            f"English less Chinese: {100 * own['difference']:+.1f} points (95 % over films: {low:+.1f} to {high:+.1f}; "
            f"{own['pairs']:,} questions asked in both)."
        )
    if "within_interval" in values:
        own = values["within_interval"]
        low, high = map(percent, own["interval"])
        lines.append(
            f"**When, within one sampling interval**: {percent(own['score'])} of {own['number']:,} ({low} to {high})."
        )
    if "truth" in values:
        lines.append(f"Of the sentences said, {percent(values['truth'])} are true.")
    for name in ("answers", "keys"):
        if name in values:
            lines.append(f"{name.capitalize()}: " + ", ".join(f"{key} {n}" for key, n in values[name].items()) + ".")
    lines += ["", "| | n | right | 95 % |", "|---|---:|---:|---|"]
    groups = {**values["languages"], **values.get("frames", {}), **values["sprites"]}
    if len(values["families"]) > 1:
        groups = {**values["families"], **groups}
    for name, own in groups.items():
        low, high = own["interval"]
        lines.append(f"| {name} | {own['number']} | {percent(own['score'])} | {percent(low)} to {percent(high)} |")
    return [*lines, ""]


def _speed_lines(speed: dict[str, Any]) -> list[str]:
    lines = ["## Speed", ""]
    if speed["asked"]:
        lines.append(
            f"{speed['asked']:,} questions asked in {speed['seconds']:.0f} s, {speed['batch']} at once, films drawn by "
            f"{speed['workers'] or 'no'} processes of their own."
        )
    first = speed["first_answer_64_frames"]
    if first["number"]:
        lines.append(
            f"First words about a film of 64 frames just shown: median {first['median_s']:.2f} s, 95th percentile "
            f"{first['p95_s']:.2f} s ({first['number']} films)."
        )
    if speed["tokens_per_s"]:
        lines.append(f"Then {speed['tokens_per_s']:.1f} tokens a second.")
    return lines


def percent(share: float) -> str:
    """Say a share: `94.8 %`."""
    return f"{100 * share:.1f} %"
