"""Films of any length take their places among words, alone or mixed, whole or in chunks."""

from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_films import Film, build, make_film, pad, pad_left, write_ids
from torch import Tensor
from transformers import LlamaForCausalLM
from transformers.modeling_outputs import BaseModelOutputWithPooling

from kangaroo.errors import PromptError
from kangaroo.model.modeling import KangarooForConditionalGeneration
from kangaroo.model.presets import tiny

CLOSE = {"atol": 2e-5, "rtol": 1e-4}


@pytest.fixture(autouse=True)
def no_gradients(request: pytest.FixtureRequest) -> object:
    with torch.set_grad_enabled("gradient" in request.node.name):
        yield


@pytest.fixture(scope="module")
def network() -> KangarooForConditionalGeneration:
    return build()


def rows_of(network: KangarooForConditionalGeneration, *films: Film, chunk_frames: int | None = None) -> Tensor:
    pixels, times_s = torch.cat([film.pixels for film in films]), torch.cat([film.times_s for film in films])
    return network.model.encode_films(pixels, times_s, [len(film) for film in films], chunk_frames=chunk_frames)


@pytest.mark.parametrize("num_frames", [1, 2, 3, 15, 16, 64, 160, 161])
def test_every_frame_count_fills_its_placeholders(network: KangarooForConditionalGeneration, num_frames: int) -> None:
    film = make_film(num_frames, size_px=28)
    ids = torch.tensor([write_ids(network.config, 0, film, 11)])
    logits = network(input_ids=ids, **pad(film)).logits
    assert logits.shape == (1, ids.shape[1], 64)
    assert logits.isfinite().all()


@settings(max_examples=25, deadline=None)
@given(
    lengths=st.lists(st.integers(1, 9), min_size=1, max_size=4),
    side=st.integers(1, 5),
    patchify=st.sampled_from(["depthwise", "dense", "average", "none"]),
    kernel=st.tuples(st.integers(1, 3), st.integers(1, 3), st.integers(1, 3)),
    odd_frames=st.sampled_from(["repeat", "drop"]),
    class_token=st.sampled_from(["drop", "keep"]),
    chunk_frames=st.integers(1, 8),
)
def test_rows_equal_placeholders_for_every_film(
    lengths: list[int], side: int, patchify: str, kernel: tuple, odd_frames: str, class_token: str, chunk_frames: int
) -> None:
    config = tiny()
    config.patchify, config.patchify_kernel, config.odd_frames = patchify, kernel, odd_frames
    config.vision_config.class_token = class_token
    network = build(config)
    films = [make_film(length, size_px=14 * side, seed=seed) for seed, length in enumerate(lengths)]
    layout = config.layout(image_size_px=14 * side)
    whole = rows_of(network, *films, chunk_frames=1000)
    assert len(whole) == sum(layout.num_visual_tokens(length) for length in lengths)
    torch.testing.assert_close(rows_of(network, *films, chunk_frames=chunk_frames), whole, **CLOSE)


def test_together_equals_one_by_one(network: KangarooForConditionalGeneration) -> None:
    films = [make_film(length, seed=seed) for seed, length in enumerate([5, 1, 8, 3])]
    together = network.get_video_features(**pad(*films)).pooler_output
    for film, rows in zip(films, together, strict=True):
        torch.testing.assert_close(rows, rows_of(network, film), **CLOSE)


def test_padding_costs_no_vision(network: KangarooForConditionalGeneration) -> None:
    seen = []
    hook = network.model.vision_tower.register_forward_hook(lambda tower, args, out: seen.append(len(args[0])))
    network.get_video_features(**pad(make_film(5), make_film(1), make_film(2)))
    hook.remove()
    assert sum(seen) == 8
    assert max(seen) <= network.config.vision_chunk_frames


def test_films_may_come_as_a_list(network: KangarooForConditionalGeneration) -> None:
    films = [make_film(3), make_film(1)]
    listed = network.get_video_features([film.pixels for film in films], [film.times_s for film in films])
    for rows, expected in zip(
        listed.pooler_output, network.get_video_features(**pad(*films)).pooler_output, strict=True
    ):
        torch.testing.assert_close(rows, expected, **CLOSE)


def test_time_reaches_the_features(network: KangarooForConditionalGeneration) -> None:
    film = make_film(4)
    late = Film(pixels=film.pixels, times_s=film.times_s + 30)
    assert not torch.allclose(rows_of(network, film), rows_of(network, late), atol=1e-3)


def test_odd_last_frame_is_repeated_with_its_time(network: KangarooForConditionalGeneration) -> None:
    film = make_film(3)
    filled = Film(pixels=film.pixels[[0, 1, 2, 2]], times_s=film.times_s[[0, 1, 2, 2]])
    torch.testing.assert_close(rows_of(network, film), rows_of(network, filled), **CLOSE)


def test_batch_of_films_images_and_text_equals_one_by_one(network: KangarooForConditionalGeneration) -> None:
    film, image, other = make_film(5), make_film(1, seed=1), make_film(2, seed=2)
    prompts: list[list[int | Film]] = [[0, 20, film, 21, image, 22], [0, 23, 24], [0, other, 25, 26]]
    batch = pad_left(*(write_ids(network.config, *parts) for parts in prompts))
    logits = network(**batch, **pad(film, image, other)).logits
    for row, parts in enumerate(prompts):
        films = [part for part in parts if isinstance(part, Film)]
        ids = torch.tensor([write_ids(network.config, *parts)])
        alone = network(input_ids=ids, **(pad(*films) if films else {})).logits
        torch.testing.assert_close(logits[row, -ids.shape[1] :], alone[0], **CLOSE)


def test_cached_steps_equal_one_pass(network: KangarooForConditionalGeneration) -> None:
    film = make_film(5)
    ids = torch.tensor([write_ids(network.config, 0, film, 20, 21, 22, 23)])
    whole = network(input_ids=ids, **pad(film)).logits
    outputs = network(input_ids=ids[:, :-3], use_cache=True, **pad(film))
    steps = [outputs.logits]
    for position in range(ids.shape[1] - 3, ids.shape[1]):
        outputs = network(
            input_ids=ids[:, position : position + 1], past_key_values=outputs.past_key_values, use_cache=True
        )
        steps.append(outputs.logits)
    torch.testing.assert_close(torch.cat(steps, dim=1), whole, **CLOSE)


def test_second_film_continues_from_the_cache(network: KangarooForConditionalGeneration) -> None:
    first, second = make_film(4), make_film(3, seed=1)
    head, tail = write_ids(network.config, 0, first, 20), write_ids(network.config, 21, second, 22)
    whole = network(input_ids=torch.tensor([head + tail]), **pad(first, second)).logits
    cache = network(input_ids=torch.tensor([head]), use_cache=True, **pad(first)).past_key_values
    continued = network(input_ids=torch.tensor([tail]), past_key_values=cache, **pad(second)).logits
    torch.testing.assert_close(continued, whole[:, len(head) :], **CLOSE)


def greedy(network: KangarooForConditionalGeneration, ids: Tensor, new_tokens: int, **films: Tensor) -> Tensor:
    """Decode without a cache, by the definition."""
    banned = sorted(network.config.visual_token_ids.values())
    for _ in range(new_tokens):
        logits = network(input_ids=ids, use_cache=False, **films).logits[:, -1]
        logits[:, banned] = -torch.inf
        ids = torch.cat([ids, logits.argmax(dim=-1, keepdim=True)], dim=1)
    return ids


def test_generate_equals_decoding_without_a_cache(network: KangarooForConditionalGeneration) -> None:
    film, image = make_film(5), make_film(1, seed=1)
    ids = torch.tensor([write_ids(network.config, 0, film, 20, image, 21)])
    calls = []
    hook = network.model.vision_tower.register_forward_hook(lambda *_: calls.append(1))
    found = network.generate(
        input_ids=ids, **pad(film, image), max_new_tokens=8, do_sample=False, eos_token_id=None, pad_token_id=1
    )
    hook.remove()
    assert len(calls) == 2, "five frames and one in chunks of four; later steps read the cache"
    assert torch.equal(found, greedy(network, ids, 8, **pad(film, image)))


def test_beams_keep_each_prompt_with_its_own_films(network: KangarooForConditionalGeneration) -> None:
    films = [make_film(length, seed=seed) for seed, length in enumerate([3, 1, 4])]
    batch = pad_left(
        write_ids(network.config, 0, films[0], 20, films[1], 21), write_ids(network.config, 0, films[2], 22)
    )
    settings = {"max_new_tokens": 4, "num_beams": 3, "do_sample": False, "eos_token_id": None, "pad_token_id": 1}
    together = network.generate(**batch, **pad(*films), **settings)
    for row, own in enumerate([films[:2], films[2:]]):
        ids = batch["input_ids"][row][batch["attention_mask"][row] == 1][None]
        assert torch.equal(together[row, -4:], network.generate(input_ids=ids, **pad(*own), **settings)[0, -4:])


def test_visual_tokens_are_never_generated(network: KangarooForConditionalGeneration) -> None:
    torch.manual_seed(0)
    ids = torch.tensor([[0, 20]]).repeat(16, 1)
    spoken = network.generate(
        input_ids=ids, max_new_tokens=40, do_sample=True, temperature=5.0, eos_token_id=None, pad_token_id=1
    )[:, 2:]
    assert len(spoken.unique()) > 40
    assert not set(spoken.unique().tolist()) & set(network.config.visual_token_ids.values())


def test_saved_network_answers_the_same(network: KangarooForConditionalGeneration, tmp_path: Path) -> None:
    network.save_pretrained(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"config.json", "generation_config.json", "model.safetensors"}
    loaded = KangarooForConditionalGeneration.from_pretrained(tmp_path)
    film = make_film(3)
    inputs = {"input_ids": torch.tensor([write_ids(network.config, 0, film, 20)]), **pad(film)}
    assert torch.equal(loaded(**inputs).logits, network(**inputs).logits)
    assert loaded.lm_head.weight is loaded.model.language_model.embed_tokens.weight
    assert loaded.generation_config.suppress_tokens == [5, 6, 7, 8, 9]


def test_weights_saved_in_half_precision_load_in_full(tmp_path: Path) -> None:
    network = build().to(torch.bfloat16)
    network.save_pretrained(tmp_path)
    loaded = KangarooForConditionalGeneration.from_pretrained(tmp_path, dtype=torch.float32)
    for name, weight in loaded.named_parameters():
        assert torch.equal(weight, network.get_parameter(name).float()), name
    assert {parameter.dtype for parameter in loaded.parameters()} == {torch.float32}


def test_bfloat16_stays_near_float32() -> None:
    network, film = build(), make_film(5)
    inputs = {"input_ids": torch.tensor([write_ids(network.config, 0, film, 20)]), **pad(film)}
    expected = network(**inputs).logits
    found = network.to(torch.bfloat16)(**inputs).logits.float()
    assert float((found - expected).square().mean().sqrt() / expected.square().mean().sqrt()) < 0.05


def test_text_alone_is_read_as_llama_reads_it(network: KangarooForConditionalGeneration) -> None:
    llama = LlamaForCausalLM(network.config.text_config).eval()
    weights = {f"model.{name}": weight for name, weight in network.model.language_model.state_dict().items()}
    llama.load_state_dict(weights | {"lm_head.weight": network.lm_head.weight})
    ids = torch.randint(10, 64, (2, 17), generator=torch.Generator().manual_seed(0))
    expected = llama(input_ids=ids, labels=ids)
    found = network(input_ids=ids, labels=ids)
    assert torch.equal(found.logits, expected.logits)
    assert torch.equal(found.loss, expected.loss)


def test_logits_to_keep_computes_the_last_alone(network: KangarooForConditionalGeneration) -> None:
    film = make_film(3)
    inputs = {"input_ids": torch.tensor([write_ids(network.config, 0, film, 20, 21)]), **pad(film)}
    whole = network(**inputs).logits
    torch.testing.assert_close(network(**inputs, logits_to_keep=2).logits, whole[:, -2:], **CLOSE)
    chosen = network(**inputs, logits_to_keep=torch.tensor([0, 3])).logits
    torch.testing.assert_close(chosen, whole[:, [0, 3]], **CLOSE)


def test_loss_counts_labelled_tokens_alone(network: KangarooForConditionalGeneration) -> None:
    film = make_film(2)
    ids = torch.tensor([write_ids(network.config, 0, film, 20, 21)])
    labels = torch.full_like(ids, -100)
    labels[0, -1] = 21
    found = network(input_ids=ids, labels=labels, **pad(film))
    expected = -found.logits[0, -2].log_softmax(dim=-1)[21]
    torch.testing.assert_close(found.loss, expected)


def gradients(network: KangarooForConditionalGeneration) -> dict[str, Tensor]:
    network.zero_grad()
    film, image = make_film(5), make_film(1, seed=1)
    ids = torch.tensor([write_ids(network.config, 0, film, 20, image, 21, 22)])
    network(input_ids=ids, labels=ids, use_cache=False, **pad(film, image)).loss.backward()
    return {name: weight.grad.clone() for name, weight in network.named_parameters() if weight.grad is not None}


def test_gradient_reaches_every_weight_but_the_unused_norm() -> None:
    network = build().train()
    found = gradients(network)
    unused = {name for name, _ in network.named_parameters()} - set(found)
    assert unused == {"model.vision_tower.norm.weight", "model.vision_tower.norm.bias"}
    assert all(gradient.any() for gradient in found.values())


def test_gradient_checkpointing_gives_the_same_gradients() -> None:
    network = build().train()
    expected = gradients(network)
    network.gradient_checkpointing_enable()
    blocks = [*network.model.vision_tower.blocks, *network.model.language_model.layers]
    assert all(block.gradient_checkpointing for block in blocks)
    found = gradients(network)
    assert found.keys() == expected.keys()
    for name, gradient in found.items():
        torch.testing.assert_close(gradient, expected[name], msg=name)


def test_features_made_earlier_are_read_the_same_way(network: KangarooForConditionalGeneration) -> None:
    film, image = make_film(4), make_film(1, seed=1)
    ids = torch.tensor([write_ids(network.config, 0, film, 20, image, 21)])
    expected = network(input_ids=ids, **pad(film, image)).logits
    features = network.get_video_features(**pad(film, image))
    given = network(input_ids=ids, mm_encoder_outputs={"video": features}).logits
    merged = network(inputs_embeds=network.model.embed(ids, rows_of(network, film, image))).logits
    words = network.get_input_embeddings()(ids)
    found_by_vector = network(inputs_embeds=words, mm_encoder_outputs={"video": features}).logits
    for logits in (given, merged, found_by_vector):
        torch.testing.assert_close(logits, expected, **CLOSE)


def test_outputs_come_as_a_tuple_on_request(network: KangarooForConditionalGeneration) -> None:
    film = make_film(3)
    ids = torch.tensor([write_ids(network.config, 0, film, 20)])
    (rows,) = network.get_video_features(**pad(film), return_dict=False)
    assert isinstance(network.get_video_features(**pad(film)), BaseModelOutputWithPooling)
    assert torch.equal(rows[0], rows_of(network, film))
    states = network.model(input_ids=ids, **pad(film), return_dict=False)[0]
    torch.testing.assert_close(network.lm_head(states), network(input_ids=ids, **pad(film), return_dict=False)[0])


def test_placeholders_and_features_must_match(network: KangarooForConditionalGeneration) -> None:
    film = make_film(3)
    ids = torch.tensor([write_ids(network.config, 0, film, 20)])
    with pytest.raises(PromptError, match=r"8 visual placeholders but .* 4 feature rows"):
        network(input_ids=ids, **pad(make_film(2)))
    with pytest.raises(PromptError, match="8 visual placeholders but 0 films"):
        network(input_ids=ids)
    with pytest.raises(PromptError, match=r"0 visual placeholders but .* 8 feature rows"):
        network(input_ids=torch.tensor([[0, 20]]), **pad(film))


def test_contradictory_inputs_are_refused(network: KangarooForConditionalGeneration) -> None:
    film = make_film(2)
    ids = torch.tensor([write_ids(network.config, 0, film)])
    with pytest.raises(PromptError, match="either input_ids or inputs_embeds"):
        network()
    with pytest.raises(PromptError, match="together"):
        network(input_ids=ids, pixel_values_videos=film.pixels[None])
    features = network.get_video_features(**pad(film))
    with pytest.raises(PromptError, match="not as both"):
        network(input_ids=ids, **pad(film), mm_encoder_outputs={"video": features})


def test_times_in_half_precision_are_refused(network: KangarooForConditionalGeneration) -> None:
    inputs = pad(make_film(2))
    with pytest.raises(PromptError, match="half precision"):
        network.get_video_features(inputs["pixel_values_videos"], inputs["video_times_s"].to(torch.bfloat16))


def test_empty_film_is_refused(network: KangarooForConditionalGeneration) -> None:
    inputs = pad(make_film(2))
    inputs["video_times_s"][:] = float("nan")
    with pytest.raises(PromptError, match="film 1 has no frames"):
        network.get_video_features(**inputs)


def test_resolution_moves_with_the_weights() -> None:
    network, film = build(), make_film(2, size_px=112)
    expected = rows_of(network, film)
    network.model.set_image_size(112)
    assert torch.equal(rows_of(network, film), expected)
    assert network.config.layout().image_size_px == 112


def test_eager_attention_equals_sdpa(network: KangarooForConditionalGeneration) -> None:
    film = make_film(3)
    inputs = {"input_ids": torch.tensor([write_ids(network.config, 0, film, 20)]), **pad(film)}
    eager = build()
    eager.load_state_dict(network.state_dict())
    eager.set_attn_implementation("eager")
    assert eager.model.vision_tower.config._attn_implementation == "eager"
    torch.testing.assert_close(eager(**inputs).logits, network(**inputs).logits, **CLOSE)


def test_decoder_and_encoder_are_found_where_transformers_looks(network: KangarooForConditionalGeneration) -> None:
    assert network.get_decoder() is network.model.language_model
    assert network.get_encoder(modality="video") is network.model.vision_tower
    assert network.is_backend_compatible()
