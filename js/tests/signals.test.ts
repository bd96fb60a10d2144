import { describe, expect, test } from "vitest";
import { batch, computed, effect, signal } from "../src/signals";

/** An effect that writes down what it reads. */
function watching<T>(read: () => T) {
  const seen: T[] = [];
  return { seen, end: effect(() => void seen.push(read())) };
}

describe("an effect", () => {
  test("runs at once, and after each change of what it read", () => {
    const a = signal(1);
    const { seen } = watching(() => a.value);
    a.value = 2;
    a.value = 2;
    a.value = 3;
    expect(seen).toEqual([1, 2, 3]);
  });

  test("runs once for all changes of a batch, also of one within another", () => {
    const [a, b] = [signal(1), signal(10)];
    const { seen } = watching(() => a.value + b.value);
    batch(() => {
      a.value = 2;
      batch(() => (b.value = 20));
      expect(seen).toEqual([11]);
    });
    expect(seen).toEqual([11, 22]);
  });

  test("depends on what it read the last time, and on nothing else", () => {
    const [first, a, b] = [signal(true), signal("a"), signal("b")];
    const { seen } = watching(() => (first.value ? a.value : b.value));
    b.value = "B";
    first.value = false;
    a.value = "A";
    b.value = "bb";
    expect(seen).toEqual(["a", "B", "bb"]);
  });

  test("that is ended runs no more, also if the change that ends it was one for it", () => {
    const a = signal(1);
    let end = () => {};
    effect(() => void (a.value === 2 && end()));
    const later = watching(() => a.value);
    end = later.end;
    a.value = 2;
    expect(later.seen).toEqual([1]);
    expect(a.readers.size).toBe(1);
  });

  test("may change what others read; they see it in the same breath", () => {
    const [frame, rows] = [signal(1), signal(0)];
    const { seen } = watching(() => [frame.value, rows.value]);
    effect(() => void (rows.value = 10 * frame.value));
    frame.value = 2;
    expect(seen.at(-1)).toEqual([2, 20]);
  });

  test("that fails keeps no other from running, and its error is told", () => {
    const a = signal(1);
    effect(() => {
      if (a.value > 1) throw new Error("two is too many");
    });
    const { seen } = watching(() => a.value);
    expect(() => (a.value = 2)).toThrow("two is too many");
    expect(seen).toEqual([1, 2]);
    a.value = 0;
    expect(seen).toEqual([1, 2, 0]);
  });

  test("that changes what it depends on for ever is stopped with a word", () => {
    const a = signal(0);
    expect(() => effect(() => void (a.value = a.value + 1))).toThrow(/no end/);
    const { seen } = watching(() => a.value);
    expect(seen.length).toBe(1);
  });

  test("that peeks is not told", () => {
    const a = signal(1);
    const { seen } = watching(() => a.peek());
    a.value = 2;
    expect(seen).toEqual([1]);
  });
});

describe("a computed value", () => {
  test("is made when it is asked for, and again only when something it read has changed", () => {
    const a = signal(2);
    let made = 0;
    const square = computed(() => (made++, a.value ** 2));
    expect(made).toBe(0);
    watching(() => square.value);
    expect([square.value, square.peek(), made]).toEqual([4, 4, 1]);
    a.value = 3;
    expect([square.value, made]).toEqual([9, 2]);
  });

  test("that comes out the same leaves its readers alone", () => {
    const a = signal(1);
    const odd = computed(() => a.value % 2);
    const { seen } = watching(() => odd.value);
    a.value = 3;
    a.value = 5;
    a.value = 6;
    expect(seen).toEqual([1, 0]);
  });

  test("and what it is made from are never seen out of step", () => {
    const a = signal(1);
    const [twice, more] = [computed(() => 2 * a.value), computed(() => a.value + 1)];
    const sum = computed(() => twice.value + more.value);
    const { seen } = watching(() => [a.value, sum.value]);
    a.value = 2;
    batch(() => {
      a.value = 3;
      expect(sum.value).toBe(10);
    });
    expect(seen).toEqual([[1, 4], [2, 7], [3, 10]]);
  });

  test("that nobody asks any more is let go of by what outlives it", () => {
    const a = signal(1);
    const inner = computed(() => a.value);
    const outer = computed(() => inner.value + 1);
    watching(() => outer.value).end();
    for (const next of [2, 3, 4]) a.value = next;
    expect(a.readers.size).toBe(0);
    expect(outer.value).toBe(5);
  });
});
