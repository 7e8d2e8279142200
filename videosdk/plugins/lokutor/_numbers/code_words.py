"""What people say before a code: "Your PIN is 1234", "card ending in 4417", "número de reserva: 48213".

Rule of this file: a language to the words before a code, and those to a pattern. Each entry is a pattern too,
and capitals don't matter. Only behind a secret, such as a PIN, any verb may stand before the digits: "your
PIN was changed to 1234". Behind other codes only "is" may, so that quantities aren't found: "the
reference counts 500".
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from .notation import APOSTROPHES

_LONGEST_BEFORE = 120
"""Characters before a number that are looked at."""
_MARKS = r"\s*_`\"'“”„«»‘’\[("
_TAIL = rf"[{_MARKS}:=–—-]*"
_GAP = rf"[{_MARKS}]+"
_WORD = rf"[^\W\d_]+(?:[-{APOSTROPHES}][^\W\d_]+)*"
_CARD_REACH = 3
_CODE_REACH = 5
"""Words between what has a code and its code: "the code for your last booking is"."""
_AND = "and|or|y|o|i|e|ou|et|eta|edo|und|oder"
_MORE = rf"(?:\d[\d –-]*(?:,\s*|\s*/\s*|,?\s+(?:{_AND})\s+)){{0,4}}"
"""Matches the codes between a name and the last one: "Codes 4821, 4822 and 4823"."""
_ALWAYS = r"pins?|otps?|cvv|cvc|puk|ids?|iban"
"""Codes with the same name in every language."""
_SECRETS = (
    r"(?:\w*-)?pins?|otps?|cvv|cvc|puk|(?:pass)?codes?|pass(?:word|phrase)s?|c[óo]digos?|codis?|claves?|"
    r"contraseñas?|contrasenya|contrasenyes|claus?|contrasinal|contrasinais|chaves?|senhas?|palavra-passe|"
    r"mots? de passe|codic[ei]|parol[ae] chiave|"
    r"\w*(?:code|passwort|kennwort|geheimzahl)|kode(?:a|ak)?|pin-?a|pasahitza?"
)
"""Codes in themselves, of all languages: a bare number in the same clause is one."""
_LONGEST_SECRET = 7
"""Characters of the longest number that a secret names from afar: "482 913"."""
_SECRET_REACH = 6
"""Words between a secret and its digits."""
_YEAR_BEFORE = re.compile(
    r"(?i)(?<!\w)(?:in|since|before|after|en|desde|em|im|jahr|seit|el|nel|dal|depuis|de|of)\s+$"
)
_YEAR = re.compile(r"(?:19|20)\d\d$")


@dataclass(frozen=True, slots=True)
class CodeWords:
    """What stands before the codes of one language.

    Attributes:
        codes: What is a code in itself.
        things: What has a number as its name, and may stand directly before it: "reservation 48213".
        owners: What has a number too, but stands before quantities as well: "In that case 1500 people".
        numbers: The word "number".
        short_numbers: Its short forms, which are read so only beside one of the things: "order no. 4821".
        of: Stands between "number" and a thing, where that follows: "número de reserva".
        is_: Stands between a code and its name: "is".
        links: May follow that: "is now the".
        ending: Stands between a card and its last digits.
        typing: Tells to enter a code.
        stops: Begin something else between a code and "is": "the code is free and the total is 1500".
        after: Names a code that stands before it.
    """

    codes: str
    things: str
    owners: str
    numbers: str
    is_: str
    links: str
    ending: str
    typing: str
    stops: str
    short_numbers: str = "(?!)"
    of: str = ""
    after: str = "(?!)"

    def before(self) -> re.Pattern[str]:
        """Return a pattern that is found at the end of what stands before a code."""
        named = rf"(?:{self.things}|{self.owners})"
        number = rf"(?:{self.numbers}|{self.short_numbers})"
        if self.of:
            of = rf"{_GAP}(?:(?:{self.of})\s+|d[{APOSTROPHES}])?"
            numbered = rf"{number}{of}(?:{_WORD}{_GAP}){{0,2}}?{named}(?:{_GAP}{_WORD})?"
        else:
            numbered = rf"{named}(?:[-\s]{_WORD})?[-\s]{_TAIL}{number}"
        code = rf"(?:{_ALWAYS}|{self.codes}|{numbered})"
        word = rf"{_GAP}(?!(?:{self.stops}|{self.is_})(?!\w)){_WORD}"
        is_ = rf",?{_GAP}(?:{self.is_})(?!\w)(?:{_GAP}(?:{self.links})(?!\w))*"
        card = rf"(?:{named}|{self.numbers}|{_ALWAYS}|{self.codes}|visa|mastercard|amex|iban)"
        ways = [
            rf"{code}(?:[{APOSTROPHES}]s|{_GAP}(?:{self.links}))?,?{_TAIL}",
            rf"(?:{self.things}|{self.numbers})(?:\s+(?:{self.short_numbers}))?{_TAIL}",
            rf"{code}(?:{word}){{0,{_CODE_REACH}}}(?:{is_}{_TAIL}|\s?[:=]{_TAIL})",
            rf"(?:{self.numbers}){is_}{_TAIL}",
            rf"(?:{self.things}){_GAP}(?:{self.is_})(?:{_GAP}(?:{self.links})(?!\w))+{_TAIL}",
            rf"{card}(?:,?{word}){{0,{_CARD_REACH}}},?{_GAP}(?:{self.ending})(?!\w){_TAIL}",
            rf"(?:{self.typing}){_TAIL}",
        ]
        return re.compile(rf"(?i)(?<![^\W_])(?:{'|'.join(ways)})(?<!\w){_MORE}$")

    def secret_before(self) -> re.Pattern[str]:
        """Return a pattern of a secret that is found in the clause before its digits."""
        word = rf"{_GAP}(?!(?:{self.stops})(?!\w)){_WORD}"
        return re.compile(
            rf"(?i)(?<![^\W_])(?:{_SECRETS})(?!\w)(?:{word}){{0,{_SECRET_REACH}}},?{_GAP}(?<!\w){_MORE}$"
        )


ENGLISH = CodeWords(
    codes=(
        "(?:pass|zip ?|post)?codes?|pass(?:word|phrase)s?|zip|digits|last (?:\\d|four)|identifier|"
        "reference|confirmation|"
        "extension|serial|license plate"
    ),
    things="order|booking|reservation|flight|ticket|invoice|policy|incident|card",
    owners=(
        "case|claim|tracking|account|customer|member|membership|employee|file|contract|registration|licen[cs]e|student|"
        "patient|user|phone|gate|batch|model|part|routing|sort|parcel|one|line|mobile"
    ),
    numbers="numbers?|nr",
    short_numbers=r"no\.?|num\.?|#",
    is_="is|are|was|were|will be|would be|reads|equals",
    links="now|the|number|following|still|just|simply|this|called|again",
    ending="end(?:s|ing|ed)?(?: in| with)?",
    typing="enter|type(?: in)?|input|key in|punch in",
    stops="and|but|or|so|then|total|balance|amount|price|costs?|value|there|it|that|which",
)
_ROMANCE_ALWAYS = "passwords?|zip"
SPANISH = CodeWords(
    codes=(
        rf"{_ROMANCE_ALWAYS}|c[óo]digos?|contraseñas?|claves?|d[íi]gitos|cifras|cp|c\.p\.|referencia|localizador|"
        "identificador|confirmaci[óo]n|extensi[óo]n|matr[íi]cula"
    ),
    things=(
        "reservas?|reservaci[óo]n|vuelo|pedidos?|tarjetas?|facturas?|expediente|p[óo]liza|cliente|billete|boleto|tique|"
        "ticket|contrato|incidencia|seguimiento"
    ),
    owners="caso|cuenta|entrada|tel[ée]fono|m[óo]vil|env[íi]o|socio|empleado|identificaci[óo]n|serie|l[íi]nea",
    numbers="n[úu]meros?|n[úu]m\\.?|n\\.?[ºo°]",
    short_numbers=r"n\.?",
    of="de|del|de la|de su|de tu",
    is_="es|son|era|eran|ser[áa]|ser[áa]n",
    links="el|la|los|las|ahora|siguiente|siguientes|n[úu]mero|este|esta",
    ending=(r"(?:(?:terminad|acabad|finalizad)[oa]s?|(?:que )?(?:termina|acaba|finaliza)n?) (?:en|con|por)"),
    typing="introduzca|introduce|introducir|ingrese|ingresa|ingresar|teclee|teclea|teclear",
    stops="y|o|pero|que|total|saldo|importe|precio|valor|hay",
)
CATALAN = CodeWords(
    codes=(
        rf"{_ROMANCE_ALWAYS}|codis?|contrasenya|contrasenyes|claus?|d[íi]gits|xifres|cp|refer[èe]ncia|localitzador|"
        "identificador|confirmaci[óo]|extensi[óo]|matr[íi]cula"
    ),
    things=(
        "reserv(?:a|es)|vol|comand(?:a|es)|target(?:a|es)|factur(?:a|es)|expedient|p[òo]lissa|client|bitllet|tiquet|contracte|"
        "incid[èe]ncia|seguiment"
    ),
    owners="cas|compte|entrada|tel[èe]fon|m[òo]bil|enviament|soci|empleat|identificaci[óo]|s[èe]rie|l[íi]nia",
    numbers="n[úu]meros?|n[úu]m\\.?|n\\.?[ºo°]",
    short_numbers=r"n\.?",
    of="de|del|de la",
    is_="[ée]s|s[óo]n|era|eren|ser[àa]|seran",
    links="el|la|els|les|ara|seg[üu]ent|seg[üu]ents|n[úu]mero|aquest|aquesta",
    ending=r"(?:acaba(?:da|t|des|ts)|que acab(?:a|en)|acab(?:a|en)|finalitza(?:da|t)) (?:en|amb|per)",
    typing="introdueixi|introdu[ïi]u|introdueix|introduir|teclegi|tecleja|teclejar",
    stops="i|o|per[òo]|que|total|saldo|import|preu|valor|hi",
)
GALICIAN = CodeWords(
    codes=(
        rf"{_ROMANCE_ALWAYS}|c[óo]digos?|contrasinal|contrasinais|claves?|chaves?|d[íi]xitos|cifras|cp|referencia|"
        "localizador|identificador|confirmaci[óo]n|extensi[óo]n|matr[íi]cula"
    ),
    things=(
        "reservas?|voo|pedidos?|tarxetas?|facturas?|expediente|p[óo]liza|cliente|billete|t[íi]cket|contrato|incidencia|"
        "seguimento"
    ),
    owners="caso|conta|entrada|tel[ée]fono|m[óo]bil|env[íi]o|socio|empregado|identificaci[óo]n|serie|li[ñn]a",
    numbers="n[úu]meros?|n[úu]m\\.?|n\\.?[ºo°]",
    short_numbers=r"n\.?",
    of="de|do|da|da s[úu]a|do seu",
    is_="[ée]|son|era|eran|ser[áa]|ser[áa]n",
    links="o|a|os|as|agora|seguinte|seguintes|n[úu]mero|este|esta",
    ending=(r"(?:(?:rematad|terminad|acabad)[oa]s?|(?:que )?(?:remata|termina|acaba)n?) (?:en|con|por)"),
    typing="introduza|introduce|introducir|teclee|teclea|teclear",
    stops="e|ou|pero|que|total|saldo|importe|prezo|valor|hai",
)
PORTUGUESE = CodeWords(
    codes=(
        rf"{_ROMANCE_ALWAYS}|c[óo]digos?|senhas?|palavra-passe|chaves?|d[íi]gitos|algarismos|cep|refer[êe]ncia|localizador|"
        "identificador|confirma[çc][ãa]o|extens[ãa]o|ramal|matr[íi]cula|protocolo"
    ),
    things=(
        "reservas?|voo|pedidos?|encomendas?|cart[ãa]o|cart[õo]es|faturas?|ap[óo]lice|cliente|bilhete|ticket|contrato|processo|"
        "seguimento|rastreio"
    ),
    owners=(
        "caso|conta|entrada|telefone|telem[óo]vel|celular|envio|s[óo]cio|funcion[áa]rio|identifica[çc][ãa]o|s[ée]rie|linha"
    ),
    numbers="n[úu]meros?|n[úu]m\\.?|n\\.?[ºo°]",
    short_numbers=r"n\.?",
    of="de|do|da|da sua|do seu",
    is_="[ée]|s[ãa]o|era|eram|ser[áa]|ser[ãa]o",
    links="o|a|os|as|agora|seguinte|seguintes|n[úu]mero|este|esta",
    ending=(r"(?:(?:terminad|acabad)[oa]s?|(?:que )?(?:termina|acaba)m?|(?:com )?final)(?: (?:em|com|por))?"),
    typing="introduza|introduzir|insira|inserir|digite|digitar|tecle",
    stops="e|ou|mas|que|total|saldo|valor|pre[çc]o|h[áa]",
)
FRENCH = CodeWords(
    codes=(
        rf"{_ROMANCE_ALWAYS}|codes?|mots? de passe|chiffres|cp|r[ée]f[ée]rence|identifiant|confirmation|"
        "extension|immatriculation"
    ),
    things=(
        "r[ée]servations?|vol|commandes?|cartes?|factures?|dossiers?|contrat|client|billet|ticket|colis|sinistre|suivi"
    ),
    owners="cas|compte|t[ée]l[ée]phone|portable|mobile|adh[ée]rent|abonn[ée]|employ[ée]|identification|s[ée]rie|ligne|police",
    numbers="num[ée]ros?|num\\.?|n\\.?[ºo°]",
    short_numbers=r"n\.?",
    of="de|du|de la|de votre|de ton",
    is_=rf"est|sont|[ée]tait|sera|seront|c[{APOSTROPHES}]est",
    links="le|la|les|maintenant|d[ée]sormais|suivant|suivants|num[ée]ro|celui-ci|bien",
    ending=(
        r"(?:(?:se )?terminant|finissant|termin[ée]e?s?|(?:qui )?(?:se terminent?|finit)) (?:par|en|avec)"
    ),
    typing="saisissez|saisir|entrez|tapez|taper",
    stops="et|ou|mais|qui|que|total|solde|montant|prix|valeur|il",
)
ITALIAN = CodeWords(
    codes=(
        rf"{_ROMANCE_ALWAYS}|codic[ei]|parol[ae] chiave|cifre|cap|riferimento|identificativo|conferma|"
        "interno|targa"
    ),
    things=(
        "prenotazion[ei]|volo|ordine|cart[ae]|fattur[ae]|pratica|polizza|cliente|bigliett[oi]|ticket|contratto|spedizione|sinistro"
    ),
    owners="caso|conto|telefono|cellulare|tessera|socio|dipendente|identificazione|serie|linea|tracciamento",
    numbers="numer[oi]|num\\.?|n\\.?[ºo°]|nr\\.?",
    short_numbers=r"n\.?",
    of="di|del|della|dell|dello",
    is_=rf"è|é|e[{APOSTROPHES}]|sono|era|erano|sar[àa]|saranno",
    links="il|la|lo|i|le|ora|adesso|seguente|seguenti|numero|questo|questa",
    ending=(
        r"(?:(?:che )?(?:termina|finisce|terminano|finiscono)|terminant[ei]|terminat[aoie]) (?:con|per|in)"
    ),
    typing="immetta|immetti|immettere|inserisca|inserisci|inserire|digiti|digita|digitare",
    stops="e|ed|o|ma|che|totale|saldo|importo|prezzo|valore|ci",
)
BASQUE = CodeWords(
    codes=(
        "kode(?:a|ak|aren|ek)?|pin-?a|pinaren|pasahitza?|pasahitzak|digitu(?:ak|ek)?|zifra(?:k|ek)|posta-?kodea|erreferentzia|"
        "identifikatzailea|luzapena|matrikula"
    ),
    things="erreserba|hegaldia?|eskaera|eskaria|txartela|faktura|espedientea|poliza|txartel|tiketa|kontratua",
    owners="kasu|kasua|kontu|kontua|bezero|bezeroa|telefono|telefonoa|mugikor|bidalketa|bazkide|serie",
    numbers="zenbaki(?:a|ak|ek)?|zk\\.?|zenb\\.?",
    short_numbers="zenbaki(?:a|ak|ek|aren)?",
    is_="da|dira|hau da|hauek dira|honakoa da|hauxe da|zen",
    links="hau|hauek|orain|zenbakia",
    ending="amaitutako|bukatutako",
    typing="idatzi|sartu",
    stops="eta|edo|baina|guztira|prezioa|saldoa",
    after="hegaldia|zenbakian|zenbakiaz|kodea|kodearen|kodearekin|pina|pinarekin|pasahitza|zenbakia|zenbakiarekin",
)
GERMAN = CodeWords(
    codes=(
        r"\w*-?(?:codes?|nummern?|kennung|kennzahl|kennziffer|kennwort|passwort|passw[öo]rter|geheimzahl|kennzeichen|"
        r"aktenzeichen|postleitzahl|endung|endziffer|ziffern|-pin|-tan)|tan|plz|referenz|durchwahl|zip"
    ),
    things=(
        "bestellung|buchung|flug|reservierung|auftrag|rechnung|vorgang|ticket|karte|kunde|vertrag|akte|sendung|police|antrag"
    ),
    owners="fall|konto|telefon|handy|mitglied|kreditkarte|girocard|ec-karte|bankkarte|anschluss|stellen",
    numbers=r"nummern?|nr\.?",
    is_="ist|sind|lautet|lauten|war|waren|wäre|heißt|heisst",
    links="die|der|das|jetzt|nun|folgende|folgender|folgendes|wie folgt|also|weiterhin",
    ending=r"(?:endend|endet|enden|mit ende|mit endziffern?|(?:die|das|der))(?: (?:auf|mit))",
    typing="geben sie|gib|tippen sie",
    stops="und|oder|aber|gesamtbetrag|betrag|preis|saldo|wert|es",
)
_BY_CODE = {
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


class CodeFinder:
    """Knows what a code is named, in one language.

    Args:
        language: Its code.
    """

    def __init__(self, language: str) -> None:
        words = _BY_CODE[language]
        self._before = words.before()
        self._secret = words.secret_before()
        self._after = re.compile(rf"(?i)\s+(?:{words.after})(?!\w)")

    def is_named(self, digits: str, before: str, after: str) -> bool:
        """Return whether one of the texts around digits says that they are a code."""
        before = before[-_LONGEST_BEFORE:]
        if self._before.search(before) or self._after.match(after):
            return True
        if len(digits) > _LONGEST_SECRET or (_YEAR.match(digits) and _YEAR_BEFORE.search(before)):
            return False
        return bool(self._secret.search(before))
