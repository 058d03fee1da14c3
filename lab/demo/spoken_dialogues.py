"""What is said in the demo: short telephone calls of a small company, as they are everywhere."""

from dataclasses import dataclass
from typing import Final

OUTSIDE: Final = "outside"


@dataclass(frozen=True, kw_only=True, slots=True)
class Voice:
    """How somebody sounds: espeak-ng's voice, words a minute, pitch (0–99)."""

    name: str
    words_per_minute: int = 155
    pitch: int = 50


@dataclass(frozen=True, kw_only=True, slots=True)
class Dialogue:
    """A talk between `caller` and `called` (an extension, or OUTSIDE).

    The called party speaks first, then they take turns.
    """

    name: str
    caller: str
    called: str
    turns: tuple[str, ...]
    outside_voice: str = "customer"

    @property
    def people(self) -> frozenset[str]:
        """Who is busy with it.

        OUTSIDE is when called (one telephone answers for the trunk); callers from there are many.
        """
        return frozenset({self.called}) | (frozenset({self.caller}) - {OUTSIDE})


VOICES: Final = {
    "152": Voice(name="ru", words_per_minute=160, pitch=38),
    "421": Voice(name="ru+Annie", words_per_minute=158, pitch=62),
    "130": Voice(name="ru+Andy", words_per_minute=150, pitch=30),
    "777": Voice(name="ru+Alicia", words_per_minute=165, pitch=70),
    "customer": Voice(name="ru+Mike", words_per_minute=148, pitch=48),
    "customer_f": Voice(name="ru+Linda", words_per_minute=150, pitch=75),
    "menu": Voice(name="ru+Andrea", words_per_minute=160, pitch=60),
}

MENU: Final = "Здравствуйте! Вы позвонили в компанию «Акме». Оставайтесь на линии."

DIALOGUES: Final = (
    Dialogue(
        name="hours",
        caller=OUTSIDE,
        called="421",
        outside_voice="customer_f",
        turns=("Акме, Иванова. Слушаю вас!", "До скольких вы сегодня?", "До семи вечера.", "Спасибо!"),
    ),
    Dialogue(
        name="order",
        caller=OUTSIDE,
        called="152",
        turns=(
            "Компания «Акме», Петров. Добрый день!",
            "Здравствуйте. Я вчера заказал у вас два насоса. Когда их привезут?",
            "Минуту, смотрю. Ваш заказ собран, доставка завтра, с десяти до двух.",
            "А можно после двух? Утром на складе никого не будет.",
            "Конечно. Записал: завтра после двух. Водитель позвонит за час.",
            "Отлично, спасибо. До свидания.",
            "Всего доброго!",
        ),
    ),
    Dialogue(
        name="price",
        caller=OUTSIDE,
        called="421",
        outside_voice="customer_f",
        turns=(
            "Акме, отдел продаж, Иванова. Слушаю вас.",
            "Добрый день! Подскажите, сколько стоит установка кондиционера?",
            "От семи тысяч рублей. Выезд мастера для замера бесплатный.",
            "А когда мастер может приехать?",
            "В четверг или в пятницу. Как вам удобнее?",
            "Давайте в пятницу, в одиннадцать.",
            "Хорошо, записала вас на пятницу. Мастер позвонит заранее.",
            "Спасибо большое, до свидания!",
        ),
    ),
    Dialogue(
        name="invoice",
        caller=OUTSIDE,
        called="152",
        outside_voice="customer_f",
        turns=(
            "Компания «Акме», Петров, слушаю.",
            "Здравствуйте, бухгалтерия «Сибирского дома». Мы не получили от вас счёт за октябрь.",
            "Прошу прощения. На какую почту его отправить?",
            "На прежнюю, она указана в договоре.",
            "Понял. Отправлю в течение получаса и перезвоню.",
            "Ждём. Спасибо.",
        ),
    ),
    Dialogue(
        name="repair",
        caller=OUTSIDE,
        called="130",
        turns=(
            "Сервис, Сидоров.",
            "Добрый день. У меня насос не включается, лампочка мигает красным.",
            "Выключите его из розетки на пять минут и попробуйте снова.",
            "Попробую. А если не поможет?",
            "Тогда приезжайте, посмотрим. Мы работаем до шести.",
            "Хорошо, спасибо.",
        ),
    ),
    Dialogue(
        name="reminder",
        caller="421",
        called=OUTSIDE,
        turns=(
            "Да, алло.",
            "Здравствуйте, это компания «Акме», Иванова. Звоню напомнить о визите мастера завтра в одиннадцать.",
            "Да-да, помню. Адрес вы записали?",
            "Улица Ленина, двадцать пять, квартира восемь. Всё верно?",
            "Всё верно. Домофон не работает, пусть позвонит снизу.",
            "Обязательно передам. Хорошего дня!",
            "И вам.",
        ),
    ),
    Dialogue(
        name="supplier",
        caller="152",
        called=OUTSIDE,
        outside_voice="customer_f",
        turns=(
            "Завод «Енисей», отдел сбыта, здравствуйте.",
            "Добрый день! Петров, компания «Акме». Наша партия уже отгружена?",
            "Одну секунду. Да, вагон вышел вчера, прибудет во вторник.",
            "Отлично. Пришлите, пожалуйста, накладную.",
            "Отправляю прямо сейчас.",
            "Спасибо, жду. До свидания!",
        ),
    ),
    Dialogue(
        name="colleagues",
        caller="152",
        called="421",
        turns=(
            "Да, Паша, слушаю.",
            "Лена, ты отправила договор «Сибирскому дому»?",
            "Отправила утром. Они обещали подписать сегодня.",
            "Прекрасно. Тогда готовь отгрузку на четверг.",
            "Поняла, сделаю.",
        ),
    ),
)
