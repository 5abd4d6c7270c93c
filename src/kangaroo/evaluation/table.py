"""Every benchmark by the name that a person types. Imports without torch."""

from kangaroo.evaluation.benchmark import Benchmark
from kangaroo.evaluation.benchmarks.egoschema import EGOSCHEMA, EGOSCHEMA_FULL
from kangaroo.evaluation.benchmarks.longvideobench import LONGVIDEOBENCH, LONGVIDEOBENCH_TEST
from kangaroo.evaluation.benchmarks.lvbench import LVBENCH
from kangaroo.evaluation.benchmarks.mlvu import MLVU
from kangaroo.evaluation.benchmarks.mlvu_generation import MLVU_GENERATION
from kangaroo.evaluation.benchmarks.mmbench_video import MMBENCH_VIDEO
from kangaroo.evaluation.benchmarks.mvbench import MVBENCH
from kangaroo.evaluation.benchmarks.seed_bench import SEED_BENCH, SEED_BENCH_RANKED
from kangaroo.evaluation.benchmarks.tempcompass import TEMPCOMPASS
from kangaroo.evaluation.benchmarks.v_niah import V_NIAH, V_NIAH_SAID
from kangaroo.evaluation.benchmarks.video_mme import VIDEO_MME, VIDEO_MME_SUBTITLES
from kangaroo.evaluation.benchmarks.videovista import VIDEOVISTA

BENCHMARKS: dict[str, Benchmark] = {
    one.name: one
    for one in (
        VIDEO_MME,
        VIDEO_MME_SUBTITLES,
        MVBENCH,
        EGOSCHEMA,
        EGOSCHEMA_FULL,
        TEMPCOMPASS,
        MLVU,
        MLVU_GENERATION,
        LONGVIDEOBENCH,
        LONGVIDEOBENCH_TEST,
        LVBENCH,
        VIDEOVISTA,
        MMBENCH_VIDEO,
        SEED_BENCH,
        SEED_BENCH_RANKED,
        V_NIAH,
        V_NIAH_SAID,
    )
}
