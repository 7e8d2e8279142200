"""What each language writes and says around its numbers: tables, and nothing that reads them.

Rule of this file: data only. A noun is "one|many|gender"; "many" left out is the same as "one". The gender is
that of the number before it: ``m`` where one is "un" or "ein", ``f`` where it is "una" or "eine", and nothing
where the number stays as it is alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import cast

from .cardinals import BY_HAND, BY_NUM2WORDS, Gender

UNITS = (
    "km", "m", "cm", "mm", "kg", "g", "mg", "l", "ml", "km/h", "m²", "h", "min", "s", "ms",
    "kB", "MB", "GB", "TB", "W", "kW", "kWh", "°C", "°F", "°",
)  # fmt: skip
"""The order of the units in the tables."""
ALIASES = {
    "Km": "km", "KM": "km", "Kg": "kg", "KG": "kg", "L": "l", "mL": "ml", "Km/h": "km/h", "m2": "m²",
    "hs": "h", "hrs": "h", "KB": "kB", "ºC": "°C", "ºF": "°F",
    "kph": "km/h",
}  # fmt: skip
"""Other spellings of units."""
CURRENCIES = ("EUR", "USD", "GBP", "JPY", "CHF", "CAD", "AUD", "MXN", "BRL")
"""The order of the currencies in the tables: what is counted, and its hundredth."""
SYMBOLS = {
    "€": "EUR", "$": "USD", "£": "GBP", "¥": "JPY", "US$": "USD", "USD$": "USD", "C$": "CAD", "CA$": "CAD",
    "A$": "AUD", "AU$": "AUD", "MX$": "MXN", "R$": "BRL",
}  # fmt: skip
THOUSANDS = ("mil", "mila", "mille", "thousand")
"""Numbers that stand before what is counted without "of"."""


@dataclass(frozen=True, slots=True)
class Noun:
    """What is counted.

    Attributes:
        one: Its singular.
        many: Its form after all other numbers.
        gender: The gender of the number before it.
    """

    one: str
    many: str
    gender: Gender


def noun(text: str) -> Noun:
    """Read ``"one|many|gender"``."""
    one, many, gender = (*text.split("|"), "", "")[:3]
    return Noun(one, many or one, cast(Gender, gender))


@dataclass(frozen=True, slots=True)
class Language:
    """How a language writes and says what stands around its numbers.

    Attributes:
        units: Nouns in the order of :data:`UNITS`.
        money: Currencies in the order of :data:`CURRENCIES`, each with its hundredth.
        percent: The noun of percentages.
        point: Says the decimal point.
        minus: Says the sign.
        to: Joins the two ends of a range, with its spaces.
        joint: Joins a price's two parts.
        conjunction: Says "&".
        about: Says "~".
        decimal: The decimal mark that the language writes. The other one groups thousands.
        per: Says the slash of "€/kg"; None where a language declines the unit instead.
        of: Stands between whole millions and what is counted.
        scales: Numbers in words that stand between digits and their currency ("5 million").
        digit_by_digit: Whether decimals are said one by one.
        percent_first: Whether the noun of percentages stands first.
        one_last: Whether "one" follows what it counts.
        one_below_two: Whether 0 and 1.5 take the singular.
        masculine: Plurals and singulars of nouns that are counted often.
        feminine: The same.
        unsure: Nouns of either gender, and the exceptions from the endings, as a pattern.
        endings: What tells the gender of other nouns without fail: of one and many, by gender.
        plurals: What plural nouns end in, where a number's gender shows.
        not_nouns: Words that follow a number and are sure not to be counted.
        years: The years that are said in hundreds.
        capital_nouns: Whether nouns begin with a capital.
        more_units: Units of this language alone: nouns by their symbols.
        hour: The word of a time of day, where ranges of hours need it.
        neuter: Nouns that are neuter, where that shows.
        times: Words before a time of day that is written with a point ("alle 8.30").
        hours: Words before hours, which are feminine ("a las 21").
        one_hour: What ends before "1" where that is an hour, as a pattern ("a la 1").
        abbreviations: Short forms of the scales: nouns by what is written.
        first: Says "1" behind a masculine article, where that isn't the cardinal ("dal 1 al 3").
        to_hours: Joins two times behind these words ("dalle 9-13").
        more_money: Currencies without a code: what is counted, and its hundredth, by their plurals.
        hour_words: Words behind a time that it may be said with, as a pattern: "15:00 hours".
        emergency: Numbers that are dialled in an emergency.
        per_units: Says the slash before these units, where that isn't ``per`` ("al mese").
        datives: What ends before a measure whose noun then takes an "n", as a pattern ("in 500 m").
        inflects_one: Whether "one" has cases, so that only some sentences show its form.
        most: The largest number.
    """

    units: str
    money: str
    percent: Noun
    point: str
    minus: str
    to: str
    joint: str
    conjunction: str
    about: str
    decimal: str = ","
    per: str | None = None
    of: str = ""
    scales: str = ""
    digit_by_digit: bool = False
    percent_first: bool = False
    one_last: bool = False
    one_below_two: bool = False
    masculine: str = ""
    feminine: str = ""
    unsure: str = "(?!)"
    endings: Mapping[str, str] = field(default_factory=dict)
    plurals: str = "$^"
    not_nouns: str = ""
    years: range = range(0)
    capital_nouns: bool = False
    more_units: Mapping[str, str] = field(default_factory=dict)
    hour: Noun | None = None
    neuter: str = ""
    times: str = ""
    hours: str = ""
    one_hour: str = ""
    abbreviations: Mapping[str, str] = field(default_factory=dict)
    first: str = ""
    to_hours: Mapping[str, str] = field(default_factory=dict)
    more_money: Mapping[str, str] = field(default_factory=dict)
    hour_words: str = "(?!)"
    emergency: str = "112"
    per_units: Mapping[str, str] = field(default_factory=dict)
    datives: str = "(?!)"
    inflects_one: bool = False
    most: int = BY_NUM2WORDS

    def unit_nouns(self) -> dict[str, Noun]:
        """Return the nouns of the units by their symbols, other spellings included."""
        nouns = dict(zip(UNITS, map(noun, _entries(self.units)), strict=True))
        nouns |= {alias: nouns[name] for alias, name in ALIASES.items()}
        return nouns | {symbol: noun(text) for symbol, text in self.more_units.items()}

    def currency_nouns(self) -> dict[str, tuple[Noun, Noun | None]]:
        """Return a currency's nouns by its code and symbols: what is counted, and its hundredth."""
        pairs = [entry.partition("+")[::2] for entry in _entries(self.money)]
        coded = {
            code: (noun(major.strip()), noun(minor.strip()) if minor else None)
            for code, (major, minor) in zip(CURRENCIES, pairs, strict=True)
        }
        return coded | {symbol: coded[code] for symbol, code in SYMBOLS.items()}

    def more_money_nouns(self) -> dict[str, tuple[Noun, Noun | None]]:
        """Return the nouns of the currencies without a code, by their plurals."""
        pairs = {name: text.partition("+") for name, text in self.more_money.items()}
        return {name: (noun(major.strip()), noun(minor.strip())) for name, (major, _, minor) in pairs.items()}


def _entries(table: str) -> list[str]:
    return [entry.strip() for entry in table.split(";")]


ENGLISH = Language(
    units=(
        "kilometer|kilometers; meter|meters; centimeter|centimeters; millimeter|millimeters; "
        "kilogram|kilograms; gram|grams; milligram|milligrams; liter|liters; milliliter|milliliters; "
        "kilometer per hour|kilometers per hour; square meter|square meters; hour|hours; minute|minutes; "
        "second|seconds; millisecond|milliseconds; kilobyte|kilobytes; megabyte|megabytes; "
        "gigabyte|gigabytes; terabyte|terabytes; watt|watts; kilowatt|kilowatts; "
        "kilowatt hour|kilowatt hours; degree Celsius|degrees Celsius; degree Fahrenheit|degrees Fahrenheit; "
        "degree|degrees"
    ),
    money=(
        "euro|euros + cent|cents; dollar|dollars + cent|cents; pound|pounds + penny|pence; yen; "
        "Swiss franc|Swiss francs + centime|centimes; Canadian dollar|Canadian dollars + cent|cents; "
        "Australian dollar|Australian dollars + cent|cents; Mexican peso|Mexican pesos + centavo|centavos; "
        "Brazilian real|Brazilian reais + centavo|centavos"
    ),
    percent=noun("percent"),
    point="point",
    minus="minus",
    to=" to ",
    joint="and",
    conjunction="and",
    about="approximately",
    decimal=".",
    per="per",
    scales="thousand million billion trillion",
    per_units={"mo": "per month", "yr": "per year", "wk": "per week"},
    digit_by_digit=True,
    years=range(1100, 2100),
    more_units={
        "mph": "mile per hour|miles per hour",
        "hr": "hour|hours",
        "mi": "mile|miles",
        "ft": "foot|feet",
        "lb": "pound|pounds",
        "lbs": "pound|pounds",
        "oz": "ounce|ounces",
        "gal": "gallon|gallons",
    },
    hour_words="hours|o['’]clock|noon|midnight",
    not_nouns=(
        "a an the and or but nor so yet if unless when while as than that which who whose where because "
        "since until till before after of for in on at to from by with without within over under per each "
        "every off up down out into onto about around between among through during against upon toward "
        "towards via plus minus is are was were be been being has have had do does did will would can could "
        "should may might must shall not no i you he she it we they me him her us them this these those my "
        "your our their his its there here then now today tomorrow tonight yesterday more less away ago "
        "later outside inside apart altogether only too also already still just both please thanks back "
        "again instead either although though however once twice due"
    ),
    emergency="911 999 112",
    abbreviations={"bn": "billion", "mn": "million"},
    more_money={"pesos": "peso|pesos + centavo|centavos"},
)

SPANISH = Language(
    units=(
        "kilómetro|kilómetros|m; metro|metros|m; centímetro|centímetros|m; milímetro|milímetros|m; "
        "kilogramo|kilogramos|m; gramo|gramos|m; miligramo|miligramos|m; litro|litros|m; "
        "mililitro|mililitros|m; kilómetro por hora|kilómetros por hora|m; "
        "metro cuadrado|metros cuadrados|m; hora|horas|f; minuto|minutos|m; segundo|segundos|m; "
        "milisegundo|milisegundos|m; kilobyte|kilobytes|m; megabyte|megabytes|m; gigabyte|gigabytes|m; "
        "terabyte|terabytes|m; vatio|vatios|m; kilovatio|kilovatios|m; kilovatio hora|kilovatios hora|m; "
        "grado Celsius|grados Celsius|m; grado Fahrenheit|grados Fahrenheit|m; grado|grados|m"
    ),
    money=(
        "euro|euros|m + céntimo|céntimos|m; dólar|dólares|m + centavo|centavos|m; "
        "libra|libras|f + penique|peniques|m; yen|yenes|m; "
        "franco suizo|francos suizos|m + céntimo|céntimos|m; "
        "dólar canadiense|dólares canadienses|m + centavo|centavos|m; "
        "dólar australiano|dólares australianos|m + centavo|centavos|m; "
        "peso mexicano|pesos mexicanos|m + centavo|centavos|m; "
        "real brasileño|reales brasileños|m + centavo|centavos|m"
    ),
    percent=noun("por ciento"),
    point="coma",
    minus="menos",
    to=" a ",
    joint="con",
    conjunction="y",
    about="aproximadamente",
    per="por",
    of="de",
    scales="mil millón millones billón billones",
    masculine=(
        "día días mes meses año años problema problemas programa programas sistema sistemas idioma "
        "idiomas mapa mapas cliente clientes coche coches nivel niveles kilo kilos millón millones "
        "hombre hombres peso pesos real reales niño niños adulto adultos huésped huéspedes billete "
        "billetes producto productos artículo artículos pedido pedidos minuto asiento asientos vuelo "
        "vuelos intento intentos correo libro libros piso litro punto mensaje mensajes"
    ),
    feminine=(
        "noche noches vez veces mano manos foto fotos llave llaves clase clases calle calles tarde "
        "tardes partes mujer mujeres persona personas cama camas semana semanas casa casas mesa mesas "
        "plaza plazas página páginas entrada entradas reserva reservas pregunta preguntas cita citas "
        "niña niñas tarjeta tarjetas tienda tiendas cosa cosas formas firmas normas alarma alarmas "
        "maleta maletas llamada llamadas"
    ),
    unsure=r"(?:moto|radio|modelo|testigo|piloto|soprano|dinamo|polio)s?",
    endings={"f": "(?:[cs]ión|[dt]ad)$", "ms": "os$", "fs": "(?:[cs]iones|[dt]ades)$"},
    plurals="s$",
    not_nouns=(
        "que con por sin los las más muy una uno del son hay era fue nos les sus para menos entonces "
        "además después antes pues ellos ellas nosotros vosotros cuando como pero si en al se es no "
        "de la el me te le lo ni ya está sigue"
    ),
    more_units={"gal": "galón|galones|m"},
    emergency="112 911",
    times="las la",
    hours="las",
    to_hours={"las": " a las "},
    one_hour=r"\b(?:a|sobre|hacia|desde|hasta|es|de) la",
    more_money={"pesos": "peso|pesos|m + centavo|centavos|m"},
)

CATALAN = Language(
    units=(
        "quilòmetre|quilòmetres|m; metre|metres|m; centímetre|centímetres|m; mil·límetre|mil·límetres|m; "
        "quilogram|quilograms|m; gram|grams|m; mil·ligram|mil·ligrams|m; litre|litres|m; "
        "mil·lilitre|mil·lilitres|m; quilòmetre per hora|quilòmetres per hora|m; "
        "metre quadrat|metres quadrats|m; hora|hores|f; minut|minuts|m; segon|segons|m; "
        "mil·lisegon|mil·lisegons|m; kilobyte|kilobytes|m; megabyte|megabytes|m; gigabyte|gigabytes|m; "
        "terabyte|terabytes|m; watt|watts|m; quilowatt|quilowatts|m; quilowatt hora|quilowatts hora|m; "
        "grau Celsius|graus Celsius|m; grau Fahrenheit|graus Fahrenheit|m; grau|graus|m"
    ),
    money=(
        "euro|euros|m + cèntim|cèntims|m; dòlar|dòlars|m + centau|centaus|m; "
        "lliura|lliures|f + penic|penics|m; ien|iens|m; franc suís|francs suïssos|m + cèntim|cèntims|m; "
        "dòlar canadenc|dòlars canadencs|m + centau|centaus|m; "
        "dòlar australià|dòlars australians|m + centau|centaus|m; "
        "peso mexicà|pesos mexicans|m + centau|centaus|m; real brasiler|reals brasilers|m + centau|centaus|m"
    ),
    percent=noun("per cent"),
    point="coma",
    minus="menys",
    to=" a ",
    joint="amb",
    conjunction="i",
    about="aproximadament",
    per="per",
    of="de",
    scales="mil milió milions bilió bilions",
    masculine=(
        "dia dies mes mesos any anys problema problemes programa programes sistema sistemes idioma "
        "idiomes mapa mapes home homes llibre llibres client clients cotxe cotxes quilo quilos milió "
        "milions cop cops peso pesos nen nens adult adults bitllet bitllets tiquet tiquets producte "
        "productes minut seient seients vol vols intent intents correu correus punt punts"
    ),
    feminine=(
        "nit nits setmana setmanes persona persones vegada vegades dona dones tarda tardes classe "
        "classes casa cases habitació taula taules cosa coses plaça places parts mà mans pàgina "
        "pàgines entrada entrades reserva reserves pregunta preguntes cita cites botiga botigues "
        "targeta targetes ciutat ciutats trucada trucades"
    ),
    unsure="fotos|motos|ràdios|dinamos|sopranos|imatges?|hàbitats",
    endings={
        "m": "atge$",
        "f": "(?:[cs]ió|itat)$",
        "ms": r"(?:\w{3}ments|atges|os)$",
        "fs": "(?:[cs]ions|itats)$",
    },
    plurals="s$",
    not_nouns=(
        "que amb per els les més una són del pel hem han era fou ens sis menys després abans doncs "
        "llavors aleshores elles dels pels quan com però si en al es és no de la el em et li ni ja "
        "està"
    ),
    times="les la",
    hours="les",
    to_hours={"les": " a les "},
    one_hour=r"\b(?:a|sobre|cap a|fins a|és|de|des de) la",
    more_money={"pesos": "peso|pesos|m + centau|centaus|m"},
)

GALICIAN = Language(
    units=(
        "quilómetro|quilómetros|m; metro|metros|m; centímetro|centímetros|m; milímetro|milímetros|m; "
        "quilogramo|quilogramos|m; gramo|gramos|m; miligramo|miligramos|m; litro|litros|m; "
        "mililitro|mililitros|m; quilómetro por hora|quilómetros por hora|m; "
        "metro cadrado|metros cadrados|m; hora|horas|f; minuto|minutos|m; segundo|segundos|m; "
        "milisegundo|milisegundos|m; kilobyte|kilobytes|m; megabyte|megabytes|m; gigabyte|gigabytes|m; "
        "terabyte|terabytes|m; watt|watts|m; quilowatt|quilowatts|m; quilowatt hora|quilowatts hora|m; "
        "grao Celsius|graos Celsius|m; grao Fahrenheit|graos Fahrenheit|m; grao|graos|m"
    ),
    money=(
        "euro|euros|m + céntimo|céntimos|m; dólar|dólares|m + centavo|centavos|m; "
        "libra|libras|f + penique|peniques|m; ien|iens|m; "
        "franco suízo|francos suízos|m + céntimo|céntimos|m; "
        "dólar canadense|dólares canadenses|m + centavo|centavos|m; "
        "dólar australiano|dólares australianos|m + centavo|centavos|m; "
        "peso mexicano|pesos mexicanos|m + centavo|centavos|m; "
        "real brasileiro|reais brasileiros|m + centavo|centavos|m"
    ),
    percent=noun("por cento"),
    point="coma",
    minus="menos",
    to=" a ",
    joint="con",
    conjunction="e",
    about="aproximadamente",
    per="por",
    of="de",
    scales="mil millón millóns billón billóns",
    masculine=(
        "día días mes meses ano anos problema problemas programa programas sistema sistemas idioma "
        "idiomas mapa mapas cliente clientes coche coches nivel niveis quilo quilos millón millóns "
        "home homes peso pesos neno adulto billete billetes produto pedido minuto voo libro prato"
    ),
    feminine=(
        "noite noites vez veces man mans foto fotos clase clases rúa rúas tarde tardes partes muller "
        "mulleres persoa persoas viaxe viaxes semana semanas casa casas mesa mesas cama camas praza "
        "prazas páxina páxinas entrada entradas reserva reservas pregunta preguntas cita citas tenda "
        "tendas tarxeta tarxetas cousa cousas mensaxe mensaxes chamada chamadas"
    ),
    unsure=r"(?:moto|radio|modelo|piloto|soprano|dinamo)s?",
    endings={"f": "(?:[cs]ión|dade)$", "ms": "os$", "fs": "(?:[cs]ións|dades)$"},
    plurals="s$",
    not_nouns=(
        "que con por sen dos das nos nas máis unha son foi era para menos entón ademais despois antes "
        "pois eles elas cando como pero se en ao no na do da de é hai xa ou está"
    ),
    most=BY_HAND,
    times="ás á as das",
    to_hours={"das": " ás "},
    hours="ás as das",
    one_hour=r"\b(?:á|(?:antes|despois|partir|arredor) da|(?:desde|dende|ata|entre) a)",
    more_money={"pesos": "peso|pesos|m + centavo|centavos|m"},
)

BASQUE = Language(
    units=(
        "kilometro; metro; zentimetro; milimetro; kilogramo; gramo; miligramo; litro; mililitro; "
        "kilometro orduko; metro koadro; ordu; minutu; segundo; milisegundo; kilobyte; megabyte; gigabyte; "
        "terabyte; watt; kilowatt; kilowatt ordu; gradu Celsius; gradu Fahrenheit; gradu"
    ),
    money=(
        "euro + zentimo; dolar + zentabo; libera + penike; yen; suitzar franko + zentimo; "
        "Kanadako dolar + zentabo; Australiako dolar + zentabo; Mexikoko peso + zentabo; "
        "Brasilgo real + zentabo"
    ),
    percent=noun("ehuneko"),
    point="koma",
    minus="minus",
    to="-",
    joint="eta",
    conjunction="eta",
    about="gutxi gorabehera",
    scales="milioi mila",
    percent_first=True,
    one_last=True,
    masculine="egun aste hilabete urte aldiz pertsona gau",
    plurals="$^",
    not_nouns="eta edo ere bat ari den zen baino baina baita izan dira daude ditu eman hartu da du ez",
    most=BY_HAND,
)

PORTUGUESE = Language(
    units=(
        "quilómetro|quilómetros|m; metro|metros|m; centímetro|centímetros|m; milímetro|milímetros|m; "
        "quilograma|quilogramas|m; grama|gramas|m; miligrama|miligramas|m; litro|litros|m; "
        "mililitro|mililitros|m; quilómetro por hora|quilómetros por hora|m; "
        "metro quadrado|metros quadrados|m; hora|horas|f; minuto|minutos|m; segundo|segundos|m; "
        "milissegundo|milissegundos|m; kilobyte|kilobytes|m; megabyte|megabytes|m; gigabyte|gigabytes|m; "
        "terabyte|terabytes|m; watt|watts|m; quilowatt|quilowatts|m; quilowatt-hora|quilowatts-hora|m; "
        "grau Celsius|graus Celsius|m; grau Fahrenheit|graus Fahrenheit|m; grau|graus|m"
    ),
    money=(
        "euro|euros|m + cêntimo|cêntimos|m; dólar|dólares|m + cêntimo|cêntimos|m; "
        "libra|libras|f + penny|pence|m; iene|ienes|m; franco suíço|francos suíços|m + cêntimo|cêntimos|m; "
        "dólar canadiano|dólares canadianos|m + cêntimo|cêntimos|m; "
        "dólar australiano|dólares australianos|m + cêntimo|cêntimos|m; "
        "peso mexicano|pesos mexicanos|m + centavo|centavos|m; real|reais|m + centavo|centavos|m"
    ),
    percent=noun("por cento"),
    point="vírgula",
    minus="menos",
    to=" a ",
    joint="e",
    conjunction="e",
    about="aproximadamente",
    per="por",
    of="de",
    scales="mil milhão milhões bilião biliões bilhão bilhões",
    masculine=(
        "dia dias mês meses ano anos problema problemas programa programas sistema sistemas idioma "
        "idiomas mapa mapas cliente clientes nível níveis quilo quilos milhão milhões homem homens "
        "carro carros peso pesos quilômetro quilômetros grama gramas quilograma quilogramas miligrama "
        "miligramas adulto bilhete bilhetes produto pedido minuto voo livro prato hóspede hóspedes"
    ),
    feminine=(
        "noite noites vez vezes mão mãos foto fotos classe classes tarde tardes partes mulher "
        "mulheres pessoa pessoas viagem viagens semana semanas casa casas mesa mesas cama camas praça "
        "praças página páginas entrada entradas reserva reservas pergunta perguntas consulta "
        "consultas loja lojas reunião reuniões opinião opiniões região regiões questão questões "
        "diária diárias coisa coisas mensagem mensagens chamada chamadas"
    ),
    unsure=r"(?:moto|rádio|modelo|piloto|soprano|tribo)s?|(?:cora|cal|ca|bra)(?:ção|ções)",
    endings={"f": "(?:ção|[nrs]são|dade)$", "ms": "os$", "fs": "(?:ções|[nrs]sões|dades)$"},
    plurals="s$",
    not_nouns=(
        "que com por sem dos das nos nas uma são foi era aos para menos mais depois antes pois eles "
        "elas quando como se em ao no na do da de é há já ou está"
    ),
    emergency="112 190 192 193",
    times="às à as das",
    to_hours={"das": " às "},
    hours="às as das",
    one_hour=r"\b(?:à|(?:antes|depois|partir|volta|cerca) da|(?:desde|até|entre|para) a)",
    abbreviations={"mi": "milhão|milhões|m", "bi": "bilhão|bilhões|m"},
    more_money={
        "pesos": "peso|pesos|m + centavo|centavos|m",
        "reais": "real|reais|m + centavo|centavos|m",
    },
)

FRENCH = Language(
    units=(
        "kilomètre|kilomètres|m; mètre|mètres|m; centimètre|centimètres|m; millimètre|millimètres|m; "
        "kilogramme|kilogrammes|m; gramme|grammes|m; milligramme|milligrammes|m; litre|litres|m; "
        "millilitre|millilitres|m; kilomètre par heure|kilomètres par heure|m; mètre carré|mètres carrés|m; "
        "heure|heures|f; minute|minutes|f; seconde|secondes|f; milliseconde|millisecondes|f; "
        "kilooctet|kilooctets|m; mégaoctet|mégaoctets|m; gigaoctet|gigaoctets|m; téraoctet|téraoctets|m; "
        "watt|watts|m; kilowatt|kilowatts|m; kilowattheure|kilowattheures|m; "
        "degré Celsius|degrés Celsius|m; degré Fahrenheit|degrés Fahrenheit|m; degré|degrés|m"
    ),
    money=(
        "euro|euros|m + centime|centimes|m; dollar|dollars|m + cent|cents|m; "
        "livre|livres|f + penny|pence|m; yen|yens|m; franc suisse|francs suisses|m + centime|centimes|m; "
        "dollar canadien|dollars canadiens|m + cent|cents|m; "
        "dollar australien|dollars australiens|m + cent|cents|m; "
        "peso mexicain|pesos mexicains|m + centavo|centavos|m; "
        "real brésilien|reais brésiliens|m + centavo|centavos|m"
    ),
    percent=noun("pour cent"),
    point="virgule",
    minus="moins",
    to=" à ",
    joint="et",
    conjunction="et",
    about="environ",
    per="par",
    of="de",
    scales="mille million millions milliard milliards",
    one_below_two=True,
    masculine=(
        "jour jours mois an ans client clients homme hommes million millions kilo kilos peso pesos "
        "adulte adultes enfant enfants billet billets point points message messages appel appels"
    ),
    feminine=(
        "semaine semaines année années fois personne personnes nuit nuits page pages place places femme "
        "femmes question questions chambre chambres journée journées"
    ),
    unsure="livres?",
    plurals="[sx]$",
    more_units={
        "Ko": "kilooctet|kilooctets|m",
        "Mo": "mégaoctet|mégaoctets|m",
        "Go": "gigaoctet|gigaoctets|m",
        "To": "téraoctet|téraoctets|m",
        "mn": "minute|minutes|f",
    },
    not_nouns=(
        "que qui les des une par sur est pas aux ces ses son ont pour mais dans avec plus moins sans "
        "très puis alors donc nous vous ils elles après de la le et en au du si ce il se ne ni"
    ),
    hour_words="heures?",
    abbreviations={
        "Md": "milliard|milliards|m",
        "Mds": "milliard|milliards|m",
        "md": "milliard|milliards|m",
        "mds": "milliard|milliards|m",
        "Mrd": "milliard|milliards|m",
    },
    more_money={"pesos": "peso|pesos|m + centavo|centavos|m"},
)

ITALIAN = Language(
    units=(
        "chilometro|chilometri|m; metro|metri|m; centimetro|centimetri|m; millimetro|millimetri|m; "
        "chilogrammo|chilogrammi|m; grammo|grammi|m; milligrammo|milligrammi|m; litro|litri|m; "
        "millilitro|millilitri|m; chilometro orario|chilometri orari|m; metro quadrato|metri quadrati|m; "
        "ora|ore|f; minuto|minuti|m; secondo|secondi|m; millisecondo|millisecondi|m; kilobyte||m; "
        "megabyte||m; gigabyte||m; terabyte||m; watt||m; chilowatt||m; chilowattora||m; "
        "grado Celsius|gradi Celsius|m; grado Fahrenheit|gradi Fahrenheit|m; grado|gradi|m"
    ),
    money=(
        "euro||m + centesimo|centesimi|m; dollaro|dollari|m + centesimo|centesimi|m; "
        "sterlina|sterline|f + penny|pence|m; yen||; "
        "franco svizzero|franchi svizzeri|m + centesimo|centesimi|m; "
        "dollaro canadese|dollari canadesi|m + centesimo|centesimi|m; "
        "dollaro australiano|dollari australiani|m + centesimo|centesimi|m; "
        "peso messicano|pesos messicani|m + centavo|centavos|m; "
        "real brasiliano|reais brasiliani|m + centavo|centavos|m"
    ),
    percent=noun("per cento"),
    point="virgola",
    minus="meno",
    to="-",
    joint="e",
    conjunction="e",
    about="circa",
    per="per",
    per_units={
        "mese": "al mese",
        "anno": "all'anno",
        "giorno": "al giorno",
        "settimana": "alla settimana",
        "ora": "all'ora",
        "h": "all'ora",
    },
    of="di",
    scales="mila milione milioni miliardo miliardi",
    masculine=(
        "giorno giorni mese mesi anno anni cliente milione miliardo problema programma sistema chilo "
        "libro zio bambino adulto biglietto ordine prodotto posto tavolo piatto minuto volo studio"
    ),
    feminine=(
        "notte notti volta volte persona persone settimana settimane pagina pagine camera stanza casa "
        "tavola domanda carta cosa donna bambina"
    ),
    endings={"m": r"(?:\w{2}aggio|\w{3}mento)$", "f": "(?:zione|sione)$"},
    not_nouns=(
        "che con per una dei del nel gli più non era tra fra sul sono fino come dopo prima alla dalla "
        "della sulla nella senza ancora allora sopra sotto quando ma se in al di da la il lo le ed si "
        "ci mi ti"
    ),
    emergency="112 113 115 118",
    first="primo",
    to_hours={"dalle": " alle "},
    one_hour=r"\b(?:d?all|verso l)['’]",
    times="alle dalle ore le all dall",
    abbreviations={"mln": "milione|milioni|m", "mld": "miliardo|miliardi|m"},
    more_money={"pesos": "peso|pesos|m + centavo|centavos|m"},
)

GERMAN = Language(
    units=(
        "Kilometer||m; Meter||m; Zentimeter||m; Millimeter||m; Kilogramm||n; Gramm||n; Milligramm||n; "
        "Liter||m; Milliliter||m; Kilometer pro Stunde||m; Quadratmeter||m; Stunde|Stunden|f; "
        "Minute|Minuten|f; Sekunde|Sekunden|f; Millisekunde|Millisekunden|f; Kilobyte||n; Megabyte||n; "
        "Gigabyte||n; Terabyte||n; Watt||n; Kilowatt||n; Kilowattstunde|Kilowattstunden|f; "
        "Grad Celsius||m; Grad Fahrenheit||m; Grad||m"
    ),
    money=(
        "Euro||m + Cent||m; Dollar||m + Cent||m; Pfund||n + Penny|Pence|m; Yen||m; "
        "Schweizer Franken||m + Rappen||m; kanadischer Dollar|kanadische Dollar|m + Cent||m; "
        "australischer Dollar|australische Dollar|m + Cent||m; "
        "mexikanischer Peso|mexikanische Peso|m + Centavo|Centavos|m; "
        "brasilianischer Real|brasilianische Real|m + Centavo|Centavos|m"
    ),
    percent=noun("Prozent||n"),
    point="Komma",
    minus="minus",
    to=" bis ",
    joint="und",
    conjunction="und",
    about="ungefähr",
    per="pro",
    scales="Million Millionen Milliarde Milliarden",
    digit_by_digit=True,
    masculine=(
        "Uhr Tag Monat Platz Gast Termin Liter Euro Dollar Kunde Name Kollege Junge Zeuge Versuch Anruf"
    ),
    feminine=(
        "Woche Nacht Person Million Milliarde Seite Frage Minute Stunde Sekunde Reihe Etage Hälfte "
        "Klasse Runde Nachricht"
    ),
    endings={"f": r"(?:(?<=\w{3})(?<!spr)(?<!schw)ung|[hk]eit|schaft|[ts]ion|tät)$"},
    years=range(1100, 2000),
    capital_nouns=True,
    more_units={"Std": "Stunde|Stunden|f", "Min": "Minute|Minuten|f", "Sek": "Sekunde|Sekunden|f"},
    hour=noun("Uhr||m"),
    neuter="Prozent Jahr Mal Zimmer Kilo Kind Stück Bett Ticket Glas",
    not_nouns=(
        "und oder aber bis ist sind wird war wäre nach über auch noch für in an auf mit von zu zum "
        "zur um als pro im am bei hat dann wenn falls drücken wählen plus minus"
    ),
    emergency="110 112",
    times="um gegen",
    abbreviations={
        "Mio": "Million|Millionen|f",
        "Mill": "Million|Millionen|f",
        "Mrd": "Milliarde|Milliarden|f",
    },
    more_money={"Pesos": "Peso|Pesos|m + Centavo|Centavos|m"},
    datives=r"\b(?:in|nach)\s+(?:(?:nur|noch|etwa|circa|ca\.|rund|ungefähr|knapp|weiteren)\s+)*",
    inflects_one=True,
)

LANGUAGES_BY_CODE = {
    "en": ENGLISH,
    "es": SPANISH,
    "ca": CATALAN,
    "gl": GALICIAN,
    "eu": BASQUE,
    "pt": PORTUGUESE,
    "fr": FRENCH,
    "it": ITALIAN,
    "de": GERMAN,
}

DECIMAL_POINT = {
    "es": "419 br bz cu do gt hn mx ni pa pe pr sv us",
    "de": "ch li",
    "it": "ch",
}
"""Regions that write a decimal point, unlike their language. Source: Unicode CLDR, as in Babel 2.18."""
SPOKEN_POINT = {"es": "punto"}
"""Says the decimal point there; German and Italian keep the comma's word."""
BOTH_MARKS = ("de", "it")
"""Languages whose regions with a decimal point also read texts of the neighbours: "1.234" may be either."""
PESO_SIGN = "ar cl co cu do mx uy"
"""Spanish-speaking regions where "$" is the peso."""


def language_of(tag: str) -> Language:
    """Return how a language, or a language with a region such as ``es-mx``, writes and says its numbers."""
    code, _, region = tag.partition("-")
    language = LANGUAGES_BY_CODE[code]
    if region not in DECIMAL_POINT.get(code, "").split():
        return language
    decimal = "" if code in BOTH_MARKS else "."
    return replace(language, decimal=decimal, point=SPOKEN_POINT.get(code, language.point))
