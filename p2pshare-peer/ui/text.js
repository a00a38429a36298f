// Texts for people: names from others made safe to look at, sizes, rates, times.

const DECEPTIVE =
  /[\p{Cc}\u00ad\u061c\u180e\ufeff\u115f\u1160\u3164\uffa0\u200b-\u200f\u2028\u2029\u202a-\u202e\u2060-\u206f\ufff9-\ufffb\u{e0000}-\u{e007f}]/gu;
const SHORT = { "\n": "\\n", "\r": "\\r", "\t": "\\t" };

/**
 * The text with control characters, marks that turn the direction of writing and characters without width written as
 * escapes, as the command line writes them.
 */
export function visible(text) {
  return text.replace(DECEPTIVE, (c, at) =>
    joins(text, c, at) ? c : SHORT[c] ?? `\\u{${c.codePointAt(0).toString(16)}}`);
}

const EMOJI_BEFORE = /[\p{Extended_Pictographic}\p{Emoji_Modifier}]\ufe0f?$/u;
const EMOJI_AFTER = /^\p{Extended_Pictographic}/u;

/** Whether the character makes one emoji of the two beside it, as a family is made of people. */
function joins(text, c, at) {
  return c === "\u200d" && EMOJI_BEFORE.test(text.slice(Math.max(0, at - 4), at)) && EMOJI_AFTER.test(text.slice(at + 1, at + 3));
}

const UNITS = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];

/** A number of bytes. */
export function bytes(count) {
  let value = count;
  let unit = 0;
  while (value >= 1023.5 && unit < UNITS.length - 1) {
    value /= 1024;
    unit += 1;
  }
  const digits = unit === 0 || value >= 99.95 ? 0 : value >= 9.995 ? 1 : 2;
  return `${value.toFixed(digits)}\u00a0${UNITS[unit]}`;
}

/** Bytes in a second. */
export function rate(perSecond) {
  return `${bytes(perSecond)}/s`;
}

/** A part of a whole: percent, rounded down, so that 100 % is only what is complete. */
export function percent(done, total) {
  return total > 0 ? Math.floor((100 * Math.min(done, total)) / total) : 0;
}

/** So many seconds. */
export function duration(seconds) {
  if (seconds < 60) return `${Math.max(1, Math.round(seconds))}\u00a0s`;
  const minutes = Math.round(seconds / 60);
  if (minutes < 60) return `${minutes}\u00a0min`;
  const hours = Math.floor(minutes / 60);
  if (hours < 48) return minutes % 60 ? `${hours} h ${minutes % 60} min` : `${hours} h`;
  return `${Math.round(hours / 24)} days`;
}

/** The point in time that the API tells: milliseconds since 1970, or RFC 3339. */
function point(time) {
  return new Date(time);
}

/** How long ago something was. */
export function ago(time) {
  const seconds = (Date.now() - point(time).getTime()) / 1000;
  if (seconds < 45) return "just now";
  if (seconds < 30 * 86400) return `${duration(seconds)} ago`;
  return day(time);
}

/** In how much time something is. */
export function until(time) {
  const seconds = (point(time).getTime() - Date.now()) / 1000;
  return seconds <= 0 ? "over" : `in ${duration(seconds)}`;
}

/** A day. */
export function day(time) {
  return point(time).toLocaleDateString(undefined, { year: "numeric", month: "short", day: "numeric" });
}

/** A day and the time of it. */
export function moment(time) {
  return point(time).toLocaleString(undefined, { dateStyle: "medium", timeStyle: "short" });
}

/** A number with its noun: `1 file`, `1,204 files`. */
export function count(number, one, many = `${one}s`) {
  return `${number.toLocaleString()} ${number === 1 ? one : many}`;
}

/** Reads a number of bytes as the command line does: `700`, `64KiB`, `5MB`, `1.5G`. `undefined` if it is none. */
export function parseBytes(text) {
  // A comma between groups of three digits parts thousands to some and a fraction to others: it is neither.
  const found = /^\s*(?![1-9]\d{0,2}(?:,\d{3})+(?!\d))(\d+(?:[.,]\d+)?)\s*(?:([kmgt])(i?))?b?(?:\/s)?\s*$/i.exec(text);
  if (!found) return undefined;
  const power = found[2] ? "kmgt".indexOf(found[2].toLowerCase()) + 1 : 0;
  return Math.round(Number(found[1].replace(",", ".")) * (found[3] ? 1024 : 1000) ** power);
}

/** A number of bytes as it is typed: the shortest text that `parseBytes` reads as this number. */
export function typedBytes(count) {
  for (const [unit, size] of [["GiB", 2 ** 30], ["GB", 1e9], ["MiB", 2 ** 20], ["MB", 1e6], ["KiB", 1024], ["KB", 1000]]) {
    if (count >= size && Number.isInteger((count / size) * 10)) return `${count / size} ${unit}`;
  }
  return String(count);
}

/** The last part of a path. */
export function fileName(path) {
  return path.replace(/[/\\]+$/, "").split(/[/\\]/).pop() || path;
}

/** A path without its last part; empty if there is none. */
export function folderOf(path) {
  const at = path.lastIndexOf("/");
  return at < 0 ? "" : path.slice(0, at);
}

const KINDS = {
  audio: "aac aif aiff ape flac m4a m4b mid midi mka mp3 oga ogg opus wav wma wv",
  video: "avi flv m2ts m4v mkv mov mp4 mpeg mpg mts ogv ts vob webm wmv",
  image: "avif bmp cr2 dng gif heic heif ico jpeg jpg jxl nef png psd svg tif tiff webp",
  document:
    "azw3 csv djvu doc docx epub htm html ipynb md mobi odp ods odt pdf ppt pptx rst rtf tex tsv txt xls xlsx",
  archive: "7z apk br bz2 cab deb dmg gz img iso jar lz4 lzma qcow2 rar rpm tar tgz vmdk whl xz zip zst",
};
const KIND_OF = new Map(
  Object.entries(KINDS).flatMap(([kind, extensions]) => extensions.split(" ").map((each) => [each, kind])),
);

/** The kind of a file, from its extension, as the index tells it. */
export function kindOf(name) {
  const at = name.lastIndexOf(".");
  return (at > 0 && KIND_OF.get(name.slice(at + 1).toLowerCase())) || "other";
}

/** Whether a browser can show the file while it is still being fetched. */
export function isPlayable(name) {
  return /\.(aac|flac|m4a|mp3|oga|ogg|opus|wav|m4v|mp4|ogv|webm|avif|bmp|gif|jpe?g|png|webp|pdf|txt|md|csv)$/i.test(name);
}
