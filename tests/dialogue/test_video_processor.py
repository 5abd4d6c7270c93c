"""Films become normalised pixels and times, the same by every road and without torchvision."""

import sys

import numpy as np
import pytest
import torch
from PIL import Image
from transformers.video_utils import VideoMetadata

from kangaroo.dialogue.video_processor import EVA_CLIP_MEAN, EVA_CLIP_STD, KangarooVideoProcessor
from kangaroo.errors import OptionError, VideoError
from kangaroo.video.decode import Resize, read_frames
from kangaroo.video.sampler import Align, FrameSampler
from kangaroo.video.source import VideoSource
from kangaroo.video.write import write_video

RNG = np.random.default_rng(0)
PIXELS = RNG.integers(0, 256, (40, 24, 32, 3), dtype=np.uint8)


@pytest.fixture
def processor():
    return KangarooVideoProcessor(size={"height": 28, "width": 28})


@pytest.fixture(scope="module")
def film_path(tmp_path_factory):
    path = tmp_path_factory.mktemp("films") / "film.mp4"
    write_video(path, PIXELS, fps=2.0)
    return path


def source(count=40):
    return VideoSource.from_arrays(PIXELS[:count], fps=2.0)


def test_torchvision_is_not_needed(processor):
    assert "torchvision" not in sys.modules
    assert processor([source()])["pixel_values_videos"].dtype == torch.float32


def test_pixels_are_normalised_as_eva_clip_was(processor):
    pixels = np.zeros((1, 28, 28, 3), dtype=np.uint8)
    pixels[..., 0], pixels[..., 2] = 255, 51
    values = processor([pixels])["pixel_values_videos"][0, 0]
    expected = (torch.tensor([1.0, 0.0, 0.2]) - torch.tensor(EVA_CLIP_MEAN)) / torch.tensor(EVA_CLIP_STD)
    torch.testing.assert_close(values, expected[:, None, None].expand(3, 28, 28))


def test_shorter_films_are_padded_and_nan_tells_how_much(processor):
    batch = processor([source(), source(3), PIXELS[0]])
    pixels, times_s = batch["pixel_values_videos"], batch["video_times_s"]
    assert pixels.shape == (3, 20, 3, 28, 28)
    assert times_s.dtype == torch.float32
    assert times_s.isfinite().sum(1).tolist() == [20, 3, 1]
    assert times_s[0, :3].tolist() == [0.5, 1.5, 2.5]
    assert times_s[2, 0] == 0
    assert not pixels[1, 3:].any()
    alone = processor([source(3)])
    torch.testing.assert_close(pixels[1, :3], alone["pixel_values_videos"][0], rtol=0, atol=0)


def test_every_road_gives_the_same_tensor(processor, film_path):
    frames = processor.read(VideoSource(film_path))
    assert frames.pixels.tobytes() == read_frames(VideoSource(film_path), FrameSampler(), size_px=28).pixels.tobytes()
    once = processor(str(film_path))
    flat = processor.flat([frames])
    torch.testing.assert_close(once["pixel_values_videos"][0], flat.pixels, rtol=0, atol=0)
    torch.testing.assert_close(once["video_times_s"][0], flat.times_s, rtol=0, atol=0)
    for road in (film_path.read_bytes(), VideoSource(film_path), [film_path], [[str(film_path)]]):
        torch.testing.assert_close(processor(road)["pixel_values_videos"], once["pixel_values_videos"], rtol=0, atol=0)
    pixels, metadata = processor.fetch_videos(str(film_path))
    assert pixels.tobytes() == frames.pixels.tobytes()
    assert metadata.times_s == frames.times_s.tolist()


def test_flat_form_joins_films(processor):
    films = [processor.read(source()), processor.read(source(3))]
    flat = processor.flat(films, dtype=torch.bfloat16)
    assert flat.pixels.shape == (23, 3, 28, 28)
    assert flat.pixels.dtype == torch.bfloat16
    assert flat.times_s.dtype == torch.float32
    assert flat.times_s.tolist() == [*films[0].times_s, *films[1].times_s]
    none = processor.flat([])
    assert (none.pixels.shape, none.times_s.shape) == ((0, 3, 28, 28), (0,))


def test_fps_and_count_go_before_the_saved_sampler(processor):
    assert processor([source()], num_frames=5)["video_times_s"].tolist() == [[2.0, 6.0, 10.0, 14.0, 18.0]]
    assert processor([source()], fps=2.0)["video_times_s"].shape == (1, 40)
    sampler = FrameSampler(num_frames=2, align=Align.LEFT)
    for given in (sampler, sampler.to_dict()):
        assert processor([source()], frame_sampler=given)["video_times_s"].tolist() == [[0.0, 10.0]]


def test_arrays_may_keep_all_their_frames(processor, film_path):
    metadata = VideoMetadata(total_num_frames=402, fps=4.0, frames_indices=list(range(2, 402, 10)))
    batch = processor([PIXELS], video_metadata=[metadata], do_sample_frames=False)
    assert batch["video_times_s"].tolist() == [[index / 4 for index in range(2, 402, 10)]]
    with pytest.raises(OptionError, match="files need the sampler"):
        processor([film_path], do_sample_frames=False)
    with pytest.raises(OptionError, match="keeps all frames; leave out fps"):
        processor([PIXELS], video_metadata=[metadata], do_sample_frames=False, fps=2.0)


def test_arrays_take_their_times_from_metadata(processor):
    by_rate = processor([PIXELS, PIXELS[0]], video_metadata=[{"fps": 2.0}, None], num_frames=4)
    by_times = processor([PIXELS], video_metadata={"times_s": np.arange(40) / 2}, num_frames=4)
    assert by_rate["video_times_s"][0].tolist() == by_times["video_times_s"][0].tolist() == [2.5, 7.5, 12.5, 17.5]
    with pytest.raises(VideoError, match="40 frames come without their times"):
        processor([PIXELS])
    with pytest.raises(VideoError, match="has no fps"):
        processor([PIXELS], video_metadata=[{"total_num_frames": 40}])
    with pytest.raises(VideoError, match="1 films come with metadata of 2"):
        processor([PIXELS], video_metadata=[{"fps": 2.0}, {"fps": 2.0}])


def test_numpy_and_metadata_on_request(processor):
    batch = processor([source()], return_tensors="np", return_metadata=True)
    assert isinstance(batch["pixel_values_videos"], np.ndarray)
    assert batch["video_metadata"][0].times_s == batch["video_times_s"][0].tolist()


@pytest.mark.parametrize(
    "option", [{"do_resize": False}, {"size": {"height": 9, "width": 9}}, {"do_center_crop": True}, {"speed": 3}]
)
def test_options_that_do_nothing_here_are_refused(processor, option):
    with pytest.raises(OptionError, match=f"does not do {next(iter(option))}="):
        processor([source()], **option)


def test_frames_are_chosen_by_the_sampler_alone(processor):
    metadata = VideoMetadata(total_num_frames=40, fps=2.0)
    chosen = processor.sample_frames(metadata)
    np.testing.assert_array_equal(chosen / 2, processor([source()])["video_times_s"][0])
    assert processor.sample_frames(metadata, num_frames=2).tolist() == [10, 30]
    with pytest.raises(OptionError, match="leave out sample_indices_fn"):
        processor.fetch_videos("film.mp4", sample_indices_fn=lambda metadata: [0])


def test_all_that_shapes_the_output_is_saved(tmp_path):
    sampler = FrameSampler(fps=0.5, min_frames=4, align=Align.EDGES)
    processor = KangarooVideoProcessor(
        size={"height": 28, "width": 28}, resize_rule="pad", frame_sampler=sampler, image_mean=[0.5, 0.5, 0.5]
    )
    processor.save_pretrained(tmp_path)
    loaded = KangarooVideoProcessor.from_pretrained(tmp_path)
    assert loaded.to_dict() == processor.to_dict()
    assert loaded.frame_sampler == sampler
    assert loaded.resize_rule is Resize.PAD
    picture = Image.fromarray(np.full((10, 40, 3), 255, dtype=np.uint8))
    for one in (loaded, processor):
        values = one([picture])["pixel_values_videos"][0, 0]
        assert values[:, 0].mean() < 0 < values[:, 14].mean()  # black above, white in the middle


@pytest.mark.gpu
def test_bytes_go_to_the_device_and_are_normalised_there(processor):
    frames = processor.read(source())
    there = processor.flat([frames], device="cuda")
    assert there.pixels.is_cuda
    torch.testing.assert_close(there.pixels.cpu(), processor.flat([frames]).pixels)
