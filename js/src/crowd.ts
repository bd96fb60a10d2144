/** How much of the view its classes take: what stands in the column below them depends on it (style/frame.css). */

const FEW = 12; // classes: with convergence below them as high as the importance panel
const SOME = 26; // ... as high as the feature map and importance

export type Crowd = "one" | "few" | "some" | "many";

export const crowd = (classes: number): Crowd => (classes === 1 ? "one" : !classes || classes > SOME ? "many" : classes > FEW ? "some" : "few");

/** px that the rows of the classes fill where they are not too many for it. */
export const ROOM: Record<Crowd, number> = { one: 0, few: 120, some: 500, many: 874 };
