// Inner products of eight rows and eight columns in blocks of four by four: s01 is that of the first rows and the last columns.
struct Tile8 { s00: mat4x4f, s01: mat4x4f, s10: mat4x4f, s11: mat4x4f }
