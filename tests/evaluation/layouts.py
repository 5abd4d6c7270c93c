"""Small data sets in the layout in which each benchmark's authors publish theirs: columns, folders, archives, oddities.

`write` makes one; beside its good records each holds odd ones, and `ODD` says how many of them cannot be asked.
"""

import csv
import json
import shutil
import zipfile
from dataclasses import replace
from pathlib import Path

import pyarrow
from pyarrow import parquet

from kangaroo.evaluation.dataset import Dataset
from kangaroo.evaluation.haystack import Haystack
from kangaroo.evaluation.table import BENCHMARKS

COLOURS = ["red", "blue", "green", "white", "black"]
# records that cannot be asked, for each benchmark: a missing or broken film, an answer outside the options, ...
ODD = {
    "video-mme": 2,
    "video-mme-subtitles": 2,
    "mvbench": 4,
    "egoschema": 1,
    "egoschema-full": 1,
    "tempcompass": 3,
    "mlvu": 2,
    "mlvu-generation": 1,
    "longvideobench": 1,
    "longvideobench-test": 1,
    "lvbench": 2,
    "videovista": 2,
    "mmbench-video": 2,
    "seed-bench-video": 1,
    "seed-bench-video-ranked": 1,
    "v-niah": 0,
    "v-niah-said": 0,
}


def write(name: str, root: Path, film: Path) -> Path:
    """Write the data set of a benchmark about copies of a film, and return its folder."""
    writers = {
        "video-mme": video_mme,
        "mvbench": mvbench,
        "egoschema": egoschema,
        "tempcompass": tempcompass,
        "mlvu": mlvu,
        "longvideobench": longvideobench,
        "lvbench": lvbench,
        "mlvu-generation": mlvu_generation,
        "videovista": videovista,
        "mmbench-video": mmbench_video,
        "seed-bench-video": seed_bench,
        "v-niah": v_niah,
    }
    for ending in ("-subtitles", "-full", "-test", "-ranked", "-said"):
        name = name.removesuffix(ending)
    writers[name](root, film)
    return root


def opened(name: str, root: Path, unpacked: Path) -> Dataset:
    """Open the data set of a benchmark."""
    source = BENCHMARKS[name].source
    if name.startswith("v-niah"):
        grid = {"frames": (2, 4), "depths": (0.0, 1.0)}
        return Haystack(root, root / "hay.mp4", source=source, unpacked=unpacked, **grid)
    return Dataset(root, source=source, unpacked=unpacked)


def table(path: Path, rows: list[dict]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    parquet.write_table(pyarrow.Table.from_pylist(rows), path)


def packed(path: Path, members: dict[str, Path | str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            if isinstance(content, Path):
                archive.write(content, name)
            else:
                archive.writestr(name, content)


def as_json(path: Path, values) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(values, ensure_ascii=False), encoding="utf-8")


def copied(film: Path, path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(film, path)
    return path


def broken(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"\0" * 2000)
    return path


def video_mme(root: Path, film: Path) -> None:
    films = ["aaaaaaaaaaa", "bbbbbbbbbbb", "-_cccccccc", "gone_ddddd"]
    rows = [
        {
            "video_id": f"{number // 2:03d}",
            "duration": ("short", "medium", "long")[number % 3],
            "domain": ("Knowledge", "Multilingual")[number % 2],
            "sub_category": "Multilingual",
            "url": "https://www.youtube.com/watch?v=...",
            "videoID": films[number // 2],
            "question_id": f"{number // 2:03d}-{number % 2 + 1}",
            "task_type": "Counting Problem",
            "question": f"第{number}个问题：what colour, \u2028 exactly?",
            "options": [f"{letter}. {colour}." for letter, colour in zip("ABCD", COLOURS, strict=False)],
            "answer": "ABCD"[number % 4],
        }
        for number in range(8)
    ]
    table(root / "videomme" / "test-00000-of-00001.parquet", rows)
    packed(root / "videos_chunked_01.zip", {f"data/{name}.mp4": film for name in films[:2]})
    packed(root / "videos_chunked_02.zip", {f"data/{films[2]}.mp4": film})
    said = '1\n00:00:00,000 --> 00:00:09,000\n<font color="white" size=".72c">said of all</font>\n'
    packed(root / "subtitle.zip", {f"subtitle/{films[0]}.srt": said})


def mvbench(root: Path, film: Path) -> None:
    from kangaroo.evaluation.benchmarks.mvbench import _FOLDERS

    clips = {"action_sequence", "action_prediction", "object_interaction", "action_localization", "episodic_reasoning"}
    archives: dict[str, dict[str, Path | str]] = {}
    for place, (task, folder) in enumerate(_FOLDERS.items()):
        name = f"{task}_1" if task == "episodic_reasoning" else f"{task}_1.mp4"
        options = COLOURS[: 2 + place % 4]
        row = {
            "video": name,
            "question": f"{task}: which?",
            "candidates": options,
            "answer": options[place % len(options)],
        }
        if task in clips:
            row |= {"start": 0.5, "end": 2.0}
        rows = [row]
        if task == "state_change":
            rows.append({**row, "question": "answer elsewhere?", "answer": "purple"})
            rows.append({**row, "question": "too late?", "start": 99.0, "end": 100.0})
        if task == "moving_count":
            rows.append({"video": name, "question": "no options here"})
            rows.append({**row, "question": "none offered", "candidates": []})
        as_json(root / "json" / f"{task}.json", rows)
        members = archives.setdefault(folder.partition("/")[0], {})
        if task == "episodic_reasoning":
            members |= {f"{folder}/{name}/{number:05d}.jpg": jpeg() for number in range(1, 7)}
        else:
            members[f"{folder}/{name}"] = film
    for archive, members in archives.items():
        packed(root / "video" / f"{archive}.zip", members)


def jpeg() -> Path:
    """A picture as a file of its own, made once."""
    import tempfile

    import numpy as np

    from kangaroo.chat.pictures import encode_jpeg

    path = Path(tempfile.gettempdir()) / "kangaroo-layout-picture.jpg"
    path.write_bytes(encode_jpeg(np.full((64, 64, 3), 90, dtype=np.uint8)))
    return path


def egoschema(root: Path, film: Path) -> None:
    rows = [
        {
            "question_idx": str(number),
            "question": f"What does c do overall, in case {number}?",
            "video_idx": f"00{number}-uuid",
            "option": [f"{letter}. C {colour}s the thing" for letter, colour in zip("ABCDE", COLOURS, strict=True)],
        }
        for number in range(6)
    ]
    table(root / "MC" / "test-00000-of-00001.parquet", rows)
    labelled = [{**row, "answer": str(number % 5)} for number, row in enumerate(rows)]
    table(root / "Subset" / "test-00000-of-00001.parquet", labelled)
    packed(root / "videos_chunked_01.zip", {f"videos/{row['video_idx']}.mp4": film for row in rows[:-1]})


def tempcompass(root: Path, film: Path) -> None:
    dims = ["speed", "direction", "action", "order", "attribute_change"]

    def rows(make):
        return [{"video_id": f"10{n}", "dim": dims[n % 5], **make(n)} for n in range(4)]

    options = [f"{letter}. {words}" for letter, words in zip("ABC", ("fast", "slow", "still"), strict=True)]
    choice = rows(lambda n: {"question": "\n".join([f"How fast is {n}?", *options]), "answer": options[n % 3]})
    yes_no = rows(lambda n: {"question": f"Is {n} fast?", "answer": ("yes", "no")[n % 2]})
    captions = [f"Sentence {mark}: The man {does}." for mark, does in (("A", "runs off"), ("B", "walks in"))]
    matching = rows(
        lambda n: {"question": "\n".join([f"Which one captures {n}?", *captions]), "answer": captions[n % 2]}
    )
    choice.append({"video_id": "100", "dim": "speed", "question": "How fast, without options?", "answer": "A. fast"})
    choice.insert(0, {"video_id": "100", "dim": "speed", "question": None, "answer": "A. fast"})
    captioning = rows(
        lambda n: {
            "question": f"Generate a caption of {n}.",
            "answer": "A: slow",
            "mc_question": "How?\nA: slow\nB: fast",
            "mc_answer": "A: slow",
        }
    )
    yes_no.append({**yes_no[0], "video_id": "gone", "question": "Is it gone?"})
    for task, own in (
        ("multi-choice", choice),
        ("yes_no", yes_no),
        ("caption_matching", matching),
        ("captioning", captioning),
    ):
        table(root / task / "test-00000-of-00001.parquet", own)
    packed(root / "tempcompass_videos.zip", {f"videos/10{n}.mp4": film for n in range(4)})


def mlvu(root: Path, film: Path) -> None:
    tasks = ["1_plotQA", "2_needle", "3_ego", "4_count", "5_order", "6_anomaly_reco", "7_topic_reasoning"]
    for place, task in enumerate(tasks):
        kind = task.partition("_")[2]
        rows = [
            {
                "video": f"{kind}_{number}.mp4",
                "duration": 421.3,
                "question": f"{kind} {number}: how many?",
                "candidates": ["1", "2", "3", "12"],
                "answer": ["1", "2", "3", "12"][(place + number) % 4],
                "question_type": kind,
            }
            for number in range(2 if place else 4)
        ]
        as_json(root / "MLVU" / "json" / f"{task}.json", rows)
        for row in rows[:2]:
            copied(film, root / "MLVU" / "video" / task / row["video"])
    broken(root / "MLVU" / "video" / "1_plotQA" / "plotQA_2.mp4")  # and plotQA_3.mp4 is missing


def longvideobench(root: Path, film: Path) -> None:
    rows = [
        {
            "id": f"v{number}_0",
            "video_id": f"v{number}",
            "video_path": f"v{number}.mp4",
            "question": f"When the subtitle '你好 {number}' appears, what is seen?",
            "candidates": [*COLOURS[: 3 + number % 3], *["N/A"] * (2 - number % 3)],
            "correct_choice": number % 3,
            "duration_group": (15, 60, 600, 3600)[number % 4],
            "question_category": ("S2E", "TAA")[number % 2],
            "topic_category": "NP-News-Programs",
            "level": "L1-Perception",
            "subtitle_path": f"v{number}_en.json",
            "duration": 12.5,
            "starting_timestamp_for_subtitles": 0,
        }
        for number in range(6)
    ]
    as_json(root / "lvb_val.json", rows)
    as_json(
        root / "lvb_test_wo_gt.json",
        [{name: value for name, value in row.items() if name != "correct_choice"} for row in rows],
    )
    for row in rows[:-1]:
        copied(film, root / "videos" / row["video_path"])


def lvbench(root: Path, film: Path) -> None:
    def asked(uid, question, answer, types):
        words = f"{question}\n(A) at dawn\n(B) at noon\n(C) at dusk\n(D) never, \nnot once"
        return {
            "uid": uid,
            "question": words,
            "answer": answer,
            "question_type": types,
            "time_reference": "00:15-00:19",
        }

    videos = [
        {
            "key": "Cm73ma6Ibcs",
            "type": "sport",
            "video_info": {"fps": 29.97},
            "qa": [
                asked("1", "When does he win?", "A", ["key information retrieval", "reasoning"]),
                asked("2", "When does he lose?", "D", ["summarization"]),
                asked("2", "When does he lose again?", "C", ["summarization"]),
            ],
        },
        {
            "key": "gone_gone_1",
            "type": "cartoon",
            "video_info": {},
            "qa": [asked("3", "When does it snow?", "B", ["temporal grounding"])],
        },
    ]
    root.mkdir(parents=True, exist_ok=True)
    lines = "".join(json.dumps(video) + "\n" for video in videos)
    (root / "video_info.meta.jsonl").write_text(lines, encoding="utf-8")
    copied(film, root / "all_videos" / "Cm73ma6Ibcs.mp4")


def seed_bench(root: Path, film: Path) -> None:
    def asked(number, kind, film_name, **more):
        return {
            "answer": "ABCD"[number % 4],
            **{f"choice_{letter}": f"{colour} {number}" for letter, colour in zip("abcd", COLOURS, strict=False)},
            "data_id": film_name,
            "data_type": "image" if kind < 10 else "video",
            "question": f"What is done in {number}?",
            "question_id": f"v{number}",
            "question_type_id": kind,
            **more,
        }

    questions = [
        asked(0, 1, "an_image"),
        asked(1, 10, "100021.webm"),
        asked(2, 11, "P22/P22_07.MP4", segment=[0.5, 2.0]),
        asked(3, 12, "P14/cam01/P14_cereals.avi", segment=[3, 30]),
        asked(4, 12, "P14/cam01/P14_cereals.avi", segment=[15, 36]),
        asked(5, 12, "P14/cam01/P14_gone.avi", segment=[15, 36]),
    ]
    as_json(root / "SEED-Bench.json", {"questions": questions, "question_type": {"Action Recognition": 10}})
    copied(film, root / "ssv2" / "100021.webm")
    copied(film, root / "epic" / "P22" / "P22_07.MP4")
    copied(film, root / "breakfast" / "P14" / "cam01" / "P14_cereals.avi")


def mlvu_generation(root: Path, film: Path) -> None:
    for task in ("8_sub_scene", "9_summary"):
        kind = task.partition("_")[2]
        rows = [
            {
                "video": f"{kind}_{number}.mp4",
                "duration": 300.0,
                "question": f"{kind} {number}: what happens?",
                "answer": f"It rains on {COLOURS[number]} umbrellas, “slowly”.",
                "question_type": kind,
                **({"scoring_points": ["rain", "umbrellas"]} if kind == "sub_scene" else {}),
            }
            for number in range(3)
        ]
        as_json(root / "json" / f"{task}.json", rows)
        for row in rows[: 2 if kind == "summary" else 3]:
            copied(film, root / "video" / task / row["video"])


def videovista(root: Path, film: Path) -> None:
    kinds = ["Objects Count", "Event Prediction", "Causal Reasoning", "Relation Reasoning-Image", "Action Location"]
    rows = [
        {
            "question_id": number,
            "video_name": f"vid{number}.0.60.mp4",
            "Question": f"What is it in {number}?",
            "Answer_Choices": COLOURS[: 2 + number % 3],
            "Answer": number % 2,
            "Type": kind,
            "category": "Howto_Style",
            "time": (42.0, 300, 600.0)[number % 3],
        }
        for number, kind in enumerate(kinds)
    ]
    as_json(root / "VideoVista.json", rows)
    packed(root / "merged.zip", {f"merged/Howto_Style/0/{row['video_name']}": film for row in rows[:4]})


def mmbench_video(root: Path, film: Path) -> None:
    kinds = ["OCR", "Counting", "Hallucination", "Causal Reasoning"]
    rows = [
        (
            str(number),
            f"v{number}",
            f"./video/v{number}.mp4",
            f"What, \u201c{number}\u201d, is it?",
            COLOURS[number],
            kind,
        )
        for number, kind in enumerate([f"['{kinds[0]}', '{kinds[3]}']", *(f"['{kind}']" for kind in kinds[1:])])
    ]
    rows.append(("4", "v0", "./video/v0.mp4", "What ability is it?", "none", "__import__('os')"))
    root.mkdir(parents=True, exist_ok=True)
    with (root / "MMBench-Video.tsv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, dialect="excel-tab")
        writer.writerow(("index", "video", "video_path", "question", "answer", "dimensions", "video_type"))
        writer.writerows((*row, "News") for row in rows)
    for number in range(3):
        copied(film, root / "video" / f"v{number}.mp4")


def v_niah(root: Path, film: Path) -> None:
    from kangaroo.playground.draw import write_film
    from kangaroo.playground.script import make_film

    root.mkdir(parents=True, exist_ok=True)
    write_film(replace(make_film(7, duration_s=6.0), width_px=112, height_px=112), root / "hay.mp4")
    picture = {"bytes": jpeg().read_bytes(), "path": "needle.jpg"}
    rows = [
        {"image": picture, "question": "\nFind the frame of a cup. Which?\nA. red\nB. blue\nC. green", "answer": "B"},
        {"image": picture, "question": "\nFind the frame of a chair. Its colour?", "answer": "Yellow"},
    ]
    table(root / "data" / "test-00000-of-00001.parquet", rows)
