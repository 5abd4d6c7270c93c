"""A shard is read to its end or refused: no hole, no joined file and no false size passes for whole."""

import tarfile

import pytest
from folders import film, make_folder, record, shard_of

from kangaroo.data.layout import dumps
from kangaroo.data.record import DataError
from kangaroo.data.shards import MAX_MEDIUM_BYTES, Shard
from kangaroo.data.write import write_shards
from kangaroo.errors import OptionError


def sample(number, key):
    return f"{key}.json", dumps(record(number)).encode()


def header(size, kind=tarfile.REGTYPE, name="a.mp4"):
    member = tarfile.TarInfo(name)
    member.size, member.type = size, kind
    return member.tobuf(tarfile.GNU_FORMAT)


@pytest.fixture
def shard(tmp_path):
    return shard_of(tmp_path / "a.tar", *(sample(number, f"{number:09}") for number in range(4)))


def test_a_page_of_zeros_is_not_the_end(shard):
    data, start = bytearray(shard.read_bytes()), int(Shard(shard)._starts[2])
    data[start : start + 512] = bytes(512)
    shard.write_bytes(data)
    with pytest.raises(DataError, match=rf"a\.tar: the shard is .* damaged \(more follows the zeros at byte {start:,}"):
        Shard(shard)


def test_two_shards_joined_are_refused(shard):
    shard.write_bytes(shard.read_bytes() * 2)
    with pytest.raises(DataError, match="joined with cat"):
        Shard(shard)


def test_zeros_without_end_are_the_end(shard):
    shard.write_bytes(shard.read_bytes() + bytes(3 << 20))
    assert len(Shard(shard)) == 4


def test_samples_of_one_key_are_refused_by_name_and_the_next_is_read(tmp_path):
    source = Shard(shard_of(tmp_path / "a.tar", sample(1, "same"), sample(2, "same"), sample(3, "z")))
    with pytest.raises(DataError, match=r"a\.tar:same: same\.json stands twice in its sample"):
        source.read(0)
    assert source.read(1) == record(3)


def test_a_film_of_gigabytes_is_refused_unread(tmp_path):
    path = shard_of(tmp_path / "a.tar", ("a.json", dumps(record(1, film("a.mp4"))).encode()))
    end = int(Shard(path)._starts[-1])
    with path.open("r+b") as file:
        file.seek(end)
        file.write(header(MAX_MEDIUM_BYTES + 1))
        file.truncate(end + 512 + MAX_MEDIUM_BYTES + 512 + 1024)  # sparse: it takes no room
    source = Shard(path)
    for read in (lambda: source.read(0), lambda: source.find(0, film("a.mp4"))):
        with pytest.raises(DataError, match=r"a\.tar:a: a\.mp4 has 2,147,483,649 bytes, more than 2,147,483,648"):
            read()


@pytest.mark.parametrize("kind", [tarfile.REGTYPE, tarfile.XHDTYPE, tarfile.GNUTYPE_LONGNAME])
@pytest.mark.parametrize("size", [40 << 30, -512])
def test_a_size_that_cannot_be_true_is_damage(kind, size, shard):
    end = int(Shard(shard)._starts[-1])
    shard.write_bytes(shard.read_bytes()[:end] + header(size, kind) + bytes(1024))
    with pytest.raises(DataError, match=r"a\.tar: the shard is cut off or damaged"):
        Shard(shard)


def test_shards_are_never_mixed_with_older_ones(tmp_path):
    make_folder(tmp_path, 3)
    records = [record(number, film("films/0.mp4")) for number in range(3)]
    old = write_shards(records, tmp_path / "shards", media=tmp_path, shard_bytes=1)
    before = [path.read_bytes() for path in old]
    with pytest.raises(OptionError, match=r"shards holds 00000\.tar already, .*; name a new folder"):
        write_shards(records[:1], tmp_path / "shards", media=tmp_path)
    assert [path.read_bytes() for path in old] == before


def test_what_no_shard_may_hold_is_not_written(tmp_path):
    with (tmp_path / "a.mp4").open("wb") as file:
        file.truncate(MAX_MEDIUM_BYTES + 1)
    with pytest.raises(DataError, match=r"a\.mp4 has 2,147,483,649 bytes"):
        write_shards([record(1, film("a.mp4"))], tmp_path / "shards", media=tmp_path)
    assert list((tmp_path / "shards").iterdir()) == []
