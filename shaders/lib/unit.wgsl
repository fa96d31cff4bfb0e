// The unit in which the length of a row is taken: 1, or a power of two for rows whose sum of squares, taken plainly, leaves
// f32's range or its full precision: then x unit has neither. Powers of two change no bit of the result.
fn unit_of(squares: f32) -> f32 {
  if (squares > 1.329228e36) { return 8.271806125530277e-25; } // 2^120: 2^-80
  if (squares < 8.673617e-19) { return 1.2089258196146292e24; } // 2^-60: 2^80
  return 1.0;
}
