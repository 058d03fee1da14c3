"""Make labelled legs for the comparison of voice detectors: speech, noise, music, tones.

Speech comes from every synthesiser that is installed (espeak-ng, flite, festival) and from recorded
prompts (Debian's `asterisk-core-sounds-*-wav` and `asterisk-prompt-*`: people, in a studio). An
utterance is silent around its words, so that its own level labels it, before noise is added. Music
is that of Debian's `asterisk-moh-opsound-wav`.
"""

import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Final

import numpy as np
import soundfile
from numpy.typing import NDArray

RATE_HZ: Final = 8000
FRAME: Final = 200  # 25 ms, the unit of a label
_LEG_S: Final = 100
_PEAKS_DB: Final = (-6, -12, -18, -24, -30)
_SNRS_DB: Final = (30, 20, 15)
_FULL_SCALE: Final = 32767
# A frame of an utterance is speech within 35 dB of its loudest; so is a gap of at most 0.3 s.
_SPEECH_RANGE_DB: Final = 35
_LONGEST_GAP: Final = 12

Sound = NDArray[np.float64]
"""One channel at 8 kHz, full scale 1."""

RUSSIAN: Final = (
    "Добрый день, компания Акме, меня зовут Анна. Чем могу помочь?",
    "Здравствуйте! Хочу узнать, когда привезут мой заказ, номер двенадцать сорок пять.",
    "Одну минуту, сейчас посмотрю. Да, вижу: заказ собран, доставка завтра после обеда.",
    "А можно перенести на субботу? Мы завтра весь день на работе.",
    "Можно. В субботу с девяти до двенадцати вам подойдёт?",
    "Подойдёт, спасибо. И скажите, пожалуйста, сколько стоит подъём на этаж?",
    "Триста рублей, если есть лифт, и по сто за каждый этаж, если его нет.",
    "Понятно. Тогда до субботы, всего доброго!",
    "Алло. Да. Нет, ещё не звонили. Хорошо, я передам.",
    "Продиктуйте, пожалуйста, номер: восемь, девятьсот тринадцать, сто двадцать три.",
)
ENGLISH: Final = (
    "Good afternoon, this is the front desk. How can I help you?",
    "Hello, I ordered a washing machine last week and nobody has called me since.",
    "Let me have a look. It left the warehouse this morning and should be with you at five.",
    "Could the driver ring me half an hour before? The bell does not work.",
    "Certainly, I will write that down. Is there anything else?",
    "No, that was all. Thank you very much.",
    "Yes. No. I do not think so. Please hold the line.",
    "Your invoice number is four, seven, one, one, nine.",
)


@dataclass(frozen=True, kw_only=True, slots=True)
class LabelledLeg:
    """One leg. `kind`: the voice, or what the leg holds instead of speech."""

    kind: str
    peak_db: int
    samples: NDArray[np.int16]
    speech: NDArray[np.bool_]  # for each frame


def spoken_legs(sounds: Path, rng: np.random.Generator) -> Iterator[LabelledLeg]:
    """Yield legs of each voice at each level, with noise of several kinds."""
    for voice, utterances in voices(sounds):
        for number, peak_db in enumerate(_PEAKS_DB):
            clean, speech = _conversation(utterances, rng)
            snr_db = _SNRS_DB[number % len(_SNRS_DB)]
            noise = _noise(NOISES[number % len(NOISES)], len(clean), rng)
            talking = np.repeat(speech, FRAME)
            level = np.sqrt(np.mean(clean[talking] ** 2)) * 10 ** (-snr_db / 20)
            yield LabelledLeg(kind=voice, peak_db=peak_db, samples=_line(clean + level * noise, peak_db), speech=speech)


def silent_legs(sounds: Path, rng: np.random.Generator) -> Iterator[LabelledLeg]:
    """Yield legs without speech: each kind of noise, music, tones of the telephone."""
    length = 3 * _LEG_S * RATE_HZ
    made = {noise: _noise(noise, length, rng) for noise in NOISES}
    made |= {"dtmf": _dtmf(length, rng), "ringing": _ringing(length), "arpeggio": _arpeggio(length, rng)}
    made |= {f"music: {path.stem}": _read(path) for path in sorted(sounds.glob("**/moh/*.wav"))}
    for kind, sound in made.items():
        peak_db = _PEAKS_DB[len(kind) % len(_PEAKS_DB)] if kind not in NOISES else -30
        sound = sound[: len(sound) // RATE_HZ * RATE_HZ]  # the Fourier transform of odd lengths is slow
        speech = np.zeros(len(sound) // FRAME, np.bool_)
        yield LabelledLeg(kind=kind, peak_db=peak_db, samples=_line(sound, peak_db), speech=speech)


def voices(sounds: Path) -> Iterator[tuple[str, list[Sound]]]:
    """Yield each voice that can be had here, with its utterances."""
    for name, command, texts in _SYNTHESISERS:
        if shutil.which(command[0]):
            yield name, [_synthesised(command, text) for text in texts]
    for folder in sorted(sounds.glob("**/sounds/*/")):
        prompts = [path for path in sorted(folder.glob("*.wav")) if path.stat().st_size > 3 * RATE_HZ]
        if len(prompts) > 20:
            yield f"person: {folder.name}", [_read(path) for path in prompts]


_SYNTHESISERS: Final = (
    ("espeak-ng ru", ("espeak-ng", "-v", "ru", "-w", "OUT", "TEXT"), RUSSIAN),
    ("espeak-ng ru+f3", ("espeak-ng", "-v", "ru+f3", "-s", "190", "-w", "OUT", "TEXT"), RUSSIAN),
    ("espeak-ng en+m7", ("espeak-ng", "-v", "en+m7", "-w", "OUT", "TEXT"), ENGLISH),
    ("festival ru", ("text2wave", "-eval", "(voice_msu_ru_nsh_clunits)", "-o", "OUT"), RUSSIAN),
    ("flite slt", ("flite", "-voice", "slt", "-t", "TEXT", "-o", "OUT"), ENGLISH),
    ("flite rms", ("flite", "-voice", "rms", "-t", "TEXT", "-o", "OUT"), ENGLISH),
    ("flite awb", ("flite", "-voice", "awb", "-t", "TEXT", "-o", "OUT"), ENGLISH),
    ("flite kal", ("flite", "-voice", "kal16", "-t", "TEXT", "-o", "OUT"), ENGLISH),
)
NOISES: Final = ("white", "pink", "street", "office")


def _synthesised(command: Sequence[str], text: str) -> Sound:
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "out.wav"
        words = [{"OUT": str(out), "TEXT": text}.get(word, word) for word in command]
        subprocess.run(words, input=text.encode(), check=True, capture_output=True)
        return _read(out)


def _read(path: Path) -> Sound:
    samples, rate_hz = soundfile.read(path, dtype="float64", always_2d=True)
    return _at_rate(samples[:, 0], rate_hz)


def _at_rate(samples: Sound, rate_hz: int) -> Sound:
    """Resample by the spectrum: the sound is short, and nothing above 4 kHz may fold back."""
    wanted = len(samples) * RATE_HZ // rate_hz
    spectrum = np.fft.rfft(samples)[: wanted // 2 + 1]
    return np.asarray(np.fft.irfft(spectrum, wanted) * wanted / len(samples), np.float64)


def _conversation(utterances: Sequence[Sound], rng: np.random.Generator) -> tuple[Sound, NDArray[np.bool_]]:
    """Return 100 s of utterances and pauses, as one side of a talk has them, and its labels."""
    sound = np.zeros(_LEG_S * RATE_HZ)
    speech = np.zeros(len(sound) // FRAME, np.bool_)
    at = int(rng.uniform(0.2, 2) * RATE_HZ) // FRAME * FRAME
    while True:
        utterance = utterances[int(rng.integers(len(utterances)))]
        utterance = utterance[: len(utterance) // FRAME * FRAME]
        if at + len(utterance) >= len(sound):
            return sound, speech
        sound[at : at + len(utterance)] = utterance / np.abs(utterance).max()
        label = _labels(utterance)
        speech[at // FRAME : at // FRAME + len(label)] = label
        at += len(utterance) + int(rng.exponential(3.0) * RATE_HZ) // FRAME * FRAME


def _labels(utterance: Sound) -> NDArray[np.bool_]:
    energy_db = 10 * np.log10((utterance.reshape(-1, FRAME) ** 2).mean(axis=1) + 1e-12)
    speech = np.asarray(energy_db > energy_db.max() - _SPEECH_RANGE_DB, np.bool_)
    spoken = np.flatnonzero(speech)
    for before, after in pairwise(spoken):
        if after - before - 1 <= _LONGEST_GAP:
            speech[before:after] = True
    return speech


def _line(sound: Sound, peak_db: float) -> NDArray[np.int16]:
    """Return a sound as a telephone line carries it: 200 to 3,600 Hz, A-law, a peak level."""
    hertz = np.fft.rfftfreq(len(sound), 1 / RATE_HZ)
    band = np.clip((hertz - 150) / 100, 0, 1) * np.clip((3700 - hertz) / 200, 0, 1)
    passed = np.fft.irfft(np.fft.rfft(sound) * band, len(sound))
    return _a_law(passed / np.abs(passed).max() * 10 ** (peak_db / 20))


def _a_law(sound: Sound) -> NDArray[np.int16]:
    """Return a sound after A-law and back (ITU-T G.711: 8 bits, 13 segments)."""
    size = np.abs(sound) * 4096
    segment = np.clip(np.floor(np.log2(np.maximum(size, 1))) - 5, 1, 7)
    step = 2.0**segment
    size = (np.floor(size / step) + 0.5) * step
    return np.asarray(np.clip(np.sign(sound) * size * 8, -_FULL_SCALE, _FULL_SCALE), np.int16)


def _noise(kind: str, length: int, rng: np.random.Generator) -> Sound:
    """Return noise of level 1. A street comes and goes in seconds; an office hums and clicks."""
    hertz = np.maximum(np.fft.rfftfreq(length, 1 / RATE_HZ), 20)
    white = rng.normal(size=length)
    slope = {"white": 0.0, "pink": -0.5, "street": -0.8, "office": -0.5}[kind]
    noise = np.fft.irfft(np.fft.rfft(white) * hertz**slope, length)
    noise /= noise.std()
    at_s = np.arange(length) / RATE_HZ
    if kind == "street":
        noise *= 1 + 0.8 * np.sin(2 * np.pi * at_s / 7) * np.sin(2 * np.pi * at_s / 3.1)
    if kind == "office":
        noise += 0.7 * np.sin(2 * np.pi * 100 * at_s) + 0.4 * np.sin(2 * np.pi * 300 * at_s)
        for at in rng.integers(0, length - 200, length // RATE_HZ):
            noise[at : at + 200] += 6 * rng.normal(size=200) * np.exp(-np.arange(200) / 40)
    return np.asarray(noise / noise.std(), np.float64)


def _dtmf(length: int, rng: np.random.Generator) -> Sound:
    """Return keys pressed for 0.08 to 0.4 s, with pauses, over a faint hiss."""
    sound, at = 0.001 * rng.normal(size=length), 0
    while at + RATE_HZ < length:
        at_s = np.arange(int(rng.uniform(0.08, 0.4) * RATE_HZ)) / RATE_HZ
        low, high = rng.choice((697, 770, 852, 941)), rng.choice((1209, 1336, 1477))
        sound[at : at + len(at_s)] += np.sin(2 * np.pi * low * at_s) + np.sin(2 * np.pi * high * at_s)
        at += len(at_s) + int(rng.uniform(0.05, 1.5) * RATE_HZ)
    return sound


def _ringing(length: int) -> Sound:
    """Return the ringing tone of Russia: 425 Hz, 1 s in 5."""
    at_s = np.arange(length) / RATE_HZ
    return np.asarray(np.sin(2 * np.pi * 425 * at_s) * (at_s % 5 < 1) + 1e-4, np.float64)


def _arpeggio(length: int, rng: np.random.Generator) -> Sound:
    """Return the melody of a cheap PBX: decaying notes with overtones, four a second."""
    sound, note = np.zeros(length), RATE_HZ // 4
    for at in range(0, length - 4 * note, note):
        at_s = np.arange(4 * note) / RATE_HZ
        pitch = 220 * 2 ** (rng.choice((0, 3, 5, 7, 10, 12)) / 12)
        tone = sum(np.sin(2 * np.pi * pitch * overtone * at_s) / overtone for overtone in range(1, 6))
        sound[at : at + 4 * note] += tone * np.exp(-4 * at_s)
    return sound
