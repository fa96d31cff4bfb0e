// Always 0, but no compiler can prove it.
var<private> nothing: u32;

// The index of an invocation in its quad.
var<private> lane: u32;

// The place of a workgroup. The index of an invocation in it is not a member: a compiler would take the whole struct for not uniform.
struct Group {
  @builtin(workgroup_id) id: vec3u,
  @builtin(num_workgroups) count: vec3u,
}

// The index of a workgroup in a 1-D count that was folded into a 2-D grid.
fn group_index(group: Group) -> u32 {
  return group.id.y * group.count.x + group.id.x;
}

// The index of an invocation in such a count, with workgroups of `size`.
fn linear_index(group: Group, local: u32, size: u32) -> u32 {
  nothing = group.id.z;
  lane = local % 4u;
  return group_index(group) * size + local;
}

// Hides a loop bound from the uniform block: lavapipe puts such a bound into the kernel's code and, if that makes the code longer,
// compiles it again at every dispatch (Mesa 22.3, lvp_execute.c: update_inline_shader_state; docs/decisions.md, "`rounds()` hides loop bounds").
fn rounds(count: u32) -> u32 { return count + nothing; }

// The i-th vec4 of an array of `count` scalars, with zeros after its end: padding must stay zero.
fn zero_tail(v: vec4f, i: u32, count: u32) -> vec4f {
  return select(vec4f(0.0), v, vec4u(4u * i) + vec4u(0u, 1u, 2u, 3u) < vec4u(count));
}
