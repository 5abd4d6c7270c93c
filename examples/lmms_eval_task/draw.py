"""Draw films and write lettered questions about them as lmms-eval reads them: `python draw.py FOLDER QUESTIONS SEED`.

Of each film only the frames are drawn that the model takes by default: a tenth of the work.
"""

import json
import sys
from pathlib import Path

from kangaroo.evaluation.films import Films
from kangaroo.evaluation.playground import Part, make_playground
from kangaroo.video.sampler import FrameSampler

folder, number, seed = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
playground = make_playground(num_questions=number, seed=seed, parts=[Part.LETTERED])
folder.mkdir(parents=True, exist_ok=True)
with (
    Films(folder / "films", sampler=FrameSampler()) as films,
    (folder / "questions.jsonl").open("w", encoding="utf-8") as file,
):
    for item in playground.items:
        film = str(films.get(playground.films[item.film]))
        record = {"id": item.id, "video": film, "question": item.question, "expected": item.expected}
        file.write(json.dumps(record, ensure_ascii=False) + "\n")
