// The messages between program and page, as types only; nothing loads this file.
// The other end is velocell/viewer: describe.py, session.py, settings.py, object_table.py, pictures.py and wire.py.
// Times are microseconds of the recording's clock, positions and radii sensor pixels, speeds px/s.

/** @typedef {[number, number]} Point */
/** @typedef {[x: number, y: number, width: number, height: number]} Region */
/** @typedef {[x0: number, y0: number, x1: number, y1: number]} Line */

/**
 * @typedef {"radius" | "ring_width" | "inside" | "contrast" | "dt_us" | "threshold" | "memory" | "veto"
 *   | "veto_reach" | "surround" | "centre_px" | "hold"} SliderName
 */

/**
 * One number that can be tuned. `auto`: null leaves it to the recording.
 * @typedef {object} Slider
 * @property {SliderName} name
 * @property {number | null} default
 * @property {string} label
 * @property {string} unit
 * @property {number} low
 * @property {number} high
 * @property {boolean} log
 * @property {string} group
 * @property {string} hint
 * @property {boolean} whole
 * @property {boolean} auto
 */

/**
 * What changes of the timeline of a stream, and stands in the facts of a recording for good.
 * `rate`: events per second, in equal parts of the span. `first_us`: from where on seconds are counted.
 * @typedef {object} Span
 * @property {number} start_us
 * @property {number} stop_us
 * @property {number[]} rate
 * @property {number} first_us sent for a stream; for a recording the page itself sets its start
 * @property {number} [held_us] from where on a stream is held
 * @property {number[][]} [activity] spikes of each band, in the parts of `rate`; of a stream only
 */

/**
 * What does not change. `span_us`: limits of the decay time. `lines`: those at which objects are counted. `opens`:
 * files that the page may ask for, and the most bytes that can be dropped on it; added by the server.
 * @typedef {object} RecordingFacts
 * @property {string} version
 * @property {string} file
 * @property {string} title
 * @property {[width: number, height: number]} size
 * @property {number} events
 * @property {boolean} polarity
 * @property {string[]} notes
 * @property {Slider[]} knobs
 * @property {number[]} speeds
 * @property {[number, number]} span_us
 * @property {EventColors} colors
 * @property {Line[]} lines
 * @property {Opens} [opens]
 * @property {boolean} [live]
 * @property {number} [hold_us] so much of a stream is held
 */

/** @typedef {{ files: string[], most_bytes: number }} Opens */
/** @typedef {RecordingFacts & Span} Facts */
/** @typedef {[red: number, green: number, blue: number]} Rgb 0 to 255; other colours are #rrggbb */
/** @typedef {{ event: Rgb, on: Rgb, off: Rgb, outside: string }} EventColors */
/** @typedef {{ name: string, color: string }} Band */
/** @typedef {{ layer: number, channel: number, name: string, color: string, final: boolean }} Channel */
/** @typedef {{ id: number, t_us: number, x: number, y: number, radius: number }} Mark */

/**
 * What the picture shows. `channels`: pairs of layer and channel. `membrane`: a channel of layer 1, or none.
 * @typedef {object} View
 * @property {"surface" | "accumulate"} mode
 * @property {number} span_us
 * @property {boolean} events
 * @property {boolean} polarity
 * @property {boolean} tracks
 * @property {number} tail_us
 * @property {[layer: number, channel: number][]} channels
 * @property {number | null} membrane
 */

/**
 * What is looked for; a slider without a value is left to the recording.
 * @typedef {Record<SliderName, number | null> & {
 *   radius: number,
 *   bands: { edges: number[], names: string[] },
 *   region: Region | null,
 *   polarity: "on" | "off" | "merge" | "both" | "drop",
 *   every_us: number,
 *   engine: string,
 *   mask_hot: boolean,
 *   network_file: string,
 * }} Settings
 */

/**
 * Of several networks those of the one for the smallest radius, and the radii of all.
 * @typedef {object} NetworkFacts
 * @property {number} dt_us
 * @property {number} radius_px
 * @property {number[]} radii_px
 * @property {number[]} tau_us
 * @property {number[]} v_th
 * @property {number} kernel
 */

/**
 * How many crossed a line in one direction, of one band; -1 is outside all of them.
 * @typedef {object} Count
 * @property {number} line
 * @property {number} x0
 * @property {number} y0
 * @property {number} x1
 * @property {number} y1
 * @property {"to_right" | "to_left"} direction
 * @property {number} band
 * @property {string} name
 * @property {number} crossings
 */

/** @typedef {{ share: number, radius: number, too_sparse: boolean, camera: string | null }} Measured */

/**
 * How far the results go. `seconds`: how long they took. `current`: whether they are of the settings that hold.
 * @typedef {object} Analysed
 * @property {number} from_us
 * @property {number} until_us
 * @property {boolean} complete
 * @property {number | null} seconds
 * @property {boolean} current
 */

/**
 * How a stream stands.
 * @typedef {object} LiveState
 * @property {boolean} following
 * @property {boolean} growing
 * @property {boolean} begun
 * @property {number} newest_us
 * @property {number} silent_s
 * @property {number} dropped
 * @property {number} late
 * @property {string[]} notes
 */

/**
 * What changes, in short. `part`: whether `span` was chosen. `shape`: what is looked for in words, where it is not
 * disks of one radius; `fixed`: the sliders that cannot be tuned then. `assumed`: what nobody chose. `mm`: whether
 * speeds are given in mm/s too; `px_per_mm`: the scale, where it is the same everywhere.
 * @typedef {object} State
 * @property {number} revision
 * @property {boolean} playing
 * @property {number} t_us
 * @property {number} speed
 * @property {boolean} loop
 * @property {[number, number]} span
 * @property {boolean} part
 * @property {View} view
 * @property {Settings} settings
 * @property {string | null} shape
 * @property {SliderName[]} fixed
 * @property {("bands" | "radius")[]} assumed
 * @property {boolean} mm
 * @property {number | null} px_per_mm
 * @property {Count[]} counts
 * @property {string} command
 * @property {Band[]} bands
 * @property {Channel[]} channels
 * @property {NetworkFacts | null} network
 * @property {Measured | null} measured
 * @property {string | null} stamps
 * @property {string | null} crowded
 * @property {Analysed | null} analysed
 * @property {number | null} selected
 * @property {Mark[]} labels
 * @property {number} next_label
 * @property {string} doing
 * @property {string | null} error
 * @property {string | null} file
 * @property {LiveState} [live]
 */

/**
 * An object of the table; band -1 is outside all of them, `off_band` where the neurons answer for another one.
 * `speed_mm`: in mm/s, where the scale is known.
 * @typedef {object} ObjectRow
 * @property {number} id
 * @property {number} band
 * @property {number | null} speed
 * @property {number | null} [speed_mm]
 * @property {number | null} error
 * @property {number | null} radius
 * @property {number | null} confidence
 * @property {number} from_us
 * @property {number} to_us
 * @property {number} rows
 * @property {boolean} off_band
 */

/** @typedef {{ id: number, band: number, t: number[], x: number[], y: number[] }} Path */
/** @typedef {{ objects: ObjectRow[], paths: Path[], activity: number[][] }} Results */

/**
 * Tuning curves: predicted peaks over thresholds by channel, and measured shares of answers by band.
 * @typedef {object} Curves
 * @property {number[]} [speeds]
 * @property {number[][]} [drive]
 * @property {{ speeds: number[], shares: number[][], r2: number | null } | null} [measured]
 */

/**
 * An object in the picture; `tail` of the picture's tail points are its own.
 * @typedef {object} Shown
 * @property {number} id
 * @property {number} x
 * @property {number} y
 * @property {number} band
 * @property {number} radius
 * @property {number} tail
 * @property {number | null} speed
 * @property {number | null} [speed_mm]
 * @property {number | null} heading
 */

/**
 * Spikes: where, which of the view's channels, and how old (255: about to go).
 * @typedef {object} Dots
 * @property {number} n
 * @property {Uint16Array} x
 * @property {Uint16Array} y
 * @property {Uint8Array} index
 * @property {Uint8Array} age
 */

/**
 * The head of a picture's message. `n`: bytes of the plane. `tails`, `spikes`: how many points follow.
 * @typedef {object} PictureHeader
 * @property {number} t_us
 * @property {[width: number, height: number]} size
 * @property {"events" | "membrane"} kind
 * @property {Shown[]} objects
 * @property {"none" | "sparse" | "dense"} plane
 * @property {number} n
 * @property {number} tails
 * @property {number} spikes
 */

/**
 * A picture: `levels` of all pixels ("dense"), of those in `pixels` ("sparse"), or none.
 * @typedef {Omit<PictureHeader, "tails" | "spikes"> & {
 *   pixels: Uint32Array | null,
 *   levels: Uint8Array | null,
 *   tails: Float32Array,
 *   dots: Dots,
 * }} Picture
 */

/**
 * Everything that comes from the program but pictures, by its kind.
 * @typedef {object} Incoming
 * @property {{ text: string }} loading
 * @property {{ text: string }} failed
 * @property {Facts} facts
 * @property {State} state
 * @property {Results} results
 * @property {Span} timeline
 * @property {Curves} curves
 * @property {{ text: string }} refused
 * @property {{ text: string }} unpainted
 */

/**
 * What the page knows.
 * @typedef {object} Store
 * @property {Facts | null} facts
 * @property {State | null} state
 * @property {Results | null} results
 * @property {Curves | null} curves
 * @property {number | null} now where the picture on show stands
 */

/**
 * @typedef {Partial<Record<SliderName, number | null>> & {
 *   edges?: number[], region?: Region | null, px_per_mm?: number | null,
 * }} Tuned
 */
/** @typedef {{ id?: number, undo?: boolean }} Unmarked */

/**
 * What the parts of the page ask for.
 * @typedef {object} Ask
 * @property {(t: number) => void} seek
 * @property {(values: Tuned) => void} tune
 * @property {(start: number | null, stop: number | null) => void} loop
 * @property {(id: number | null) => void} select
 * @property {(id: number) => void} jump
 * @property {(region: Region | null) => void} region
 * @property {(x: number, y: number) => void} mark
 * @property {(values: Unmarked) => void} unmark
 * @property {() => void} follow
 * @property {(text: string) => void} tell
 */

/** @typedef {(name: string, values?: object) => void} Send */

export {};
