declare const brand: unique symbol;

/** A value of type T that must not be mistaken for another T: made only by a checking function. */
export type Brand<T, Name extends string> = T & { readonly [brand]: Name };
