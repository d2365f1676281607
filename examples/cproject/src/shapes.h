#ifndef SHAPES_H
#define SHAPES_H

/* The area of a rectangle with these sides. */
long rectangle(long width, long height);

#endif
